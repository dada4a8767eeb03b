"""The one thing that every exporter takes: a model's step as the forward of a module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from makemore_export.models import Model

INPUTS = ("token", "position")


class StepModule(nn.Module):
    """`forward(token (B,), position (B,), *state) -> (logits (B, V), *next)`, in eval mode.

    It uses the weights that the model has now. Logits are float32, also of a float16 model.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        model.fold()
        self.model = model
        self.eval()

    def forward(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits, *following = self.model.step(token, position, *state)
        return (logits.float(), *following)

    def example(self, rows: int) -> tuple[Tensor, ...]:
        """Inputs to trace with: `rows` start tokens and zero states."""
        shapes: list[tuple[tuple[int, ...], str]] = [((), "int64") for _ in INPUTS]
        shapes += [(spec.shape, spec.dtype) for spec in self.model.states()]
        return tuple(
            torch.zeros(rows, *shape, dtype=getattr(torch, dtype)) for shape, dtype in shapes
        )
