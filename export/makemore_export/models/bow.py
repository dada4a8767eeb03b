"""The causal bag of words: the mean of what was read, in no order."""

from __future__ import annotations

import torch
from makemore.artifact import StateSpec
from torch import Tensor, nn

from makemore_export.configs.model_configs import BoWConfig
from makemore_export.models.model import (
    Model,
    StepFunction,
    uniform_head,
)


class BoW(Model):
    """The bag of words of makemore: attention whose weights are all alike.

    Each position adds to its own embedding, of token and position, the mean of those up to it, then
    what a perceptron makes of the sum.
    """

    Config = BoWConfig

    def __init__(self, config: BoWConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.block_size = config.block_size
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.block_size, config.n_embd)
        self.mlp_up = nn.Linear(config.n_embd, config.n_hidden)
        self.mlp_down = nn.Linear(config.n_hidden, config.n_embd)
        self.head = uniform_head(config.n_embd, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.token_embedding(tokens) + self.position_embedding(positions)  # (B, T, C)
        return self._logits(x + x.cumsum(1) / (positions[:, None] + 1))  # (B, T, V)

    def states(self) -> tuple[StateSpec, ...]:
        return (StateSpec(name="sum", dtype=self.arithmetic, shape=(self.config.n_embd,)),)

    def step_function(self) -> StepFunction:
        return StepFunction("BowStep", dict(self.named_parameters()), {})

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        x = self.token_embedding(token) + self.position_embedding(position)  # (B, C)
        total = state[0] + x
        return self._logits(x + total / (position[:, None] + 1)), total

    def _logits(self, x: Tensor) -> Tensor:
        """From x (..., C) to (..., V)."""
        logits: Tensor = self.head(x + self.mlp_down(torch.tanh(self.mlp_up(x))))
        return logits
