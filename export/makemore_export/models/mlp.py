"""The perceptron over a window of the last tokens."""

from __future__ import annotations

from typing import Annotated

import msgspec
import torch
from makemore.artifact import StateSpec
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional as F

from makemore_export.models.dropout import Dropout
from makemore_export.models.model import DropoutRate, Model, Size, uniform_head
from makemore_export.recipe import Recipe


class MLPConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`context` is the number of tokens in the window; `direct` adds connections from their
    embeddings to the logits that pass the hidden layer by.
    """

    context: Annotated[int, Meta(ge=2)] = 8
    n_embd: Size = 32
    n_hidden: Size = 400
    direct: bool = False
    dropout: DropoutRate = 0.1


class MLP(Model):
    """Bengio et al., "A Neural Probabilistic Language Model" (2003), section 2, equation 1.

    One embedding table serves all places of the window. Before the start of a string there is token
    0, the start token, again.
    """

    Config = MLPConfig
    recipe = Recipe(learning_rate=8e-3, weight_decay=0.01)
    block_size = None

    def __init__(self, config: MLPConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        width = config.context * config.n_embd
        self.embedding = nn.Embedding(vocab_size, config.n_embd)
        self.dropout = Dropout(config.dropout)
        self.hidden = nn.Linear(width, config.n_hidden)
        self.head = uniform_head(config.n_hidden, vocab_size)
        self.direct = uniform_head(width, vocab_size, bias=False) if config.direct else None

    def forward(self, tokens: Tensor) -> Tensor:
        width = self.config.context
        windows = F.pad(tokens, (width - 1, 0)).unfold(1, width, 1)
        return self._logits(windows)  # (B, T, V)

    def states(self) -> tuple[StateSpec, ...]:
        return (StateSpec(name="tokens", dtype="int64", shape=(self.config.context - 1,)),)

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        window = torch.cat([state[0], token[:, None]], dim=1)  # (B, context)
        return self._logits(window), window[:, 1:]

    def _logits(self, windows: Tensor) -> Tensor:
        """From int64 (..., context) to (..., V)."""
        x = self.dropout(self.embedding(windows).flatten(-2))  # (..., context * C)
        logits: Tensor = self.head(self.dropout(self.hidden(x).tanh()))
        return logits if self.direct is None else logits + self.direct(x)
