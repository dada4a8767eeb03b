"""The bigram: the next character depends on the last one only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from makemore.artifact import StateSpec
from torch import Tensor

from makemore_export.configs.model_configs import BigramConfig
from makemore_export.data.counting import Ints, count_distinct
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models.model import CountingModel, StepFunction
from makemore_export.models.smoothing import additive


class Bigram(CountingModel):
    """P(b | a) = (N(a, b) + k) / sum over c of (N(a, c) + k); uniform after an `a` never seen."""

    Config = BigramConfig
    block_size = None
    logits: Tensor

    def __init__(self, config: BigramConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("logits", torch.zeros(vocab_size, vocab_size))

    def fit(self, train: EncodedStrings, dev: EncodedStrings | None) -> dict[str, Any]:
        held_out = np.concatenate([*self._pairs(dev)]) if dev else None
        size = len(self.logits)
        counted = additive(
            count_distinct(self._pairs(train)), held_out, (size, size), self.config.smoothing
        )
        self.logits.copy_(torch.from_numpy(counted.table(size)))
        return {"smoothing": counted.k}

    def _pairs(self, strings: EncodedStrings) -> Iterator[Ints]:
        """Each token of `strings`, stops included, as the one before times V plus itself."""
        for inputs, targets in strings.batches():
            keys = inputs * len(self.logits) + targets
            yield keys[targets >= 0].cpu().numpy()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits[tokens]  # (B, T, V)

    def states(self) -> tuple[StateSpec, ...]:
        return ()

    def step_function(self) -> StepFunction:
        return StepFunction.of("BigramStep", self, "logits")

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        return (self.logits.index_select(0, token),)  # (B, V)
