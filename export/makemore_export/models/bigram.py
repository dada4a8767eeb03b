"""The bigram: the next character depends on the last one only."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import torch
from makemore.artifact import StateSpec
from msgspec import Meta
from torch import Tensor

from makemore_export.data import Strings
from makemore_export.models.model import CountingModel


class BigramConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`smoothing` is added to every count (Laplace smoothing)."""

    smoothing: Annotated[float, Meta(ge=0)] = 1.0


class Bigram(CountingModel):
    """P(b | a) = (N(a, b) + k) / sum over c of (N(a, c) + k); uniform after an `a` never seen."""

    Config = BigramConfig
    block_size = None
    logits: Tensor

    def __init__(self, config: BigramConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("logits", torch.zeros(vocab_size, vocab_size))

    def fit(self, train: Strings, dev: Strings | None) -> dict[str, Any]:  # noqa: ARG002
        vocab_size = len(self.logits)
        counts = torch.zeros(vocab_size**2, dtype=torch.int64, device=self.logits.device)
        for inputs, targets in train.batches():
            real = targets >= 0
            pairs = inputs[real] * vocab_size + targets[real]
            counts += torch.bincount(pairs, minlength=vocab_size**2)
        weights = counts.view(vocab_size, vocab_size).cpu().double() + self.config.smoothing
        weights[weights.sum(1) == 0] = 1
        self.logits.copy_((weights / weights.sum(1, keepdim=True)).log())
        return {}

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits[tokens]  # (B, T, V)

    def states(self) -> tuple[StateSpec, ...]:
        return ()

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        return (self.logits[token],)  # (B, V)
