"""The bigram as a network: a table of logits, filled by gradient descent instead of counting."""

from __future__ import annotations

import torch
from makemore.artifact import StateSpec
from torch import Tensor, nn

from makemore_export.configs.model_configs import NeuralBigramConfig
from makemore_export.models.model import Model, StepFunction


class NeuralBigram(Model):
    """A linear layer without bias on a one-hot token, which is a row of its weight (V, V)."""

    Config = NeuralBigramConfig
    block_size = None

    def __init__(self, config: NeuralBigramConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.logits = nn.Parameter(torch.zeros(vocab_size, vocab_size))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits[tokens]  # (B, T, V)

    def states(self) -> tuple[StateSpec, ...]:
        return ()

    def step_function(self) -> StepFunction:
        return StepFunction.of("BigramStep", self, "logits")

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        return (self.logits.index_select(0, token),)  # (B, V)

    def penalty(self) -> Tensor:
        penalty: Tensor = self.config.l2 * self.logits.square().mean()
        return penalty
