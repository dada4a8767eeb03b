"""The bigram as a network: a table of logits, filled by gradient descent instead of counting."""

from __future__ import annotations

from typing import Annotated

import msgspec
import torch
from makemore.artifact import StateSpec
from msgspec import Meta
from torch import Tensor, nn

from makemore_export.models.model import Model, StepFunction
from makemore_export.models.recipe import Recipe


class NeuralBigramConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`l2` times the mean square of the logits is added to the loss: what pulls them to 0 pulls
    the probabilities to uniform, as smoothing does with counts.
    """

    l2: Annotated[
        float, Meta(ge=0, description="Weight of the mean squared weight in the loss.")
    ] = 1e-3


class NeuralBigram(Model):
    """A linear layer without bias on a one-hot token, which is a row of its weight (V, V)."""

    Config = NeuralBigramConfig
    recipe = Recipe(max_steps=2000, learning_rate=0.1, weight_decay=0.0)
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
