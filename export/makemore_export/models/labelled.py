"""A model of strings that begin with a label, so that it makes a label there and nowhere else."""

from __future__ import annotations

import torch
from makemore.artifact import StateSpec
from torch import Tensor

from makemore_export.models.model import Model


class Labelled(Model):
    """Another model, whose last ids are labels: only they follow the start, and they follow nothing
    else. The other model has learned that but for a rest of probability, which is taken away.
    """

    recipe = None
    masks: Tensor

    def __init__(self, model: Model, labels: int, vocab_size: int) -> None:
        super().__init__()
        self.model = model
        self.block_size = model.block_size
        self.is_int8 = model.is_int8
        is_label = torch.arange(vocab_size) >= vocab_size - labels
        masks = torch.stack([~is_label, is_label]).float()  # at the start, and after it
        self.register_buffer("masks", masks.masked_fill(masks > 0, -torch.inf), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(tokens)  # (B, T, V)
        after = torch.arange(tokens.shape[1], device=tokens.device).clamp(max=1)
        return logits + self.masks[after]

    def states(self) -> tuple[StateSpec, ...]:
        return self.model.states()

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits, *following = self.model.step(token, position, *state)
        return (logits + self.masks.index_select(0, position.clamp(max=1)), *following)

    def fold(self) -> None:
        self.model.fold()


def with_labels(model: Model, labels: int, vocab_size: int) -> Model:
    """The model itself where there are none."""
    if not labels or isinstance(model, Labelled):
        return model
    return Labelled(model, labels, vocab_size).eval()
