"""The perceptron over a window of the last tokens."""

from __future__ import annotations

import torch
from makemore.artifact import StateSpec
from torch import Tensor, nn
from torch.nn import functional as F

from makemore_export.configs.model_configs import MLPConfig
from makemore_export.models.dropout import Dropout
from makemore_export.models.model import (
    FEW_TOKENS,
    Model,
    StepFunction,
    uniform_head,
)


class MLP(Model):
    """Bengio et al., "A Neural Probabilistic Language Model" (2003), section 2, equation 1.

    One embedding table serves all places of the window. Before the start of a string there is token
    0, the start token, again.
    """

    Config = MLPConfig
    block_size = None
    tables: Tensor | None
    """What the hidden layer reads of each token in each place (context * V, H), once folded; with
    its bias in the last place.
    """

    def __init__(self, config: MLPConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        width = config.context * config.n_embd
        self.embedding = nn.Embedding(vocab_size, config.n_embd)
        self.dropout = Dropout(config.dropout)
        self.hidden = nn.Linear(width, config.n_hidden)
        self.head = uniform_head(config.n_hidden, vocab_size)
        self.direct = uniform_head(width, vocab_size, bias=False) if config.direct else None
        self.register_buffer("tables", None, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        width = self.config.context
        windows = F.pad(tokens, (width - 1, 0)).unfold(1, width, 1)
        x = self.dropout(self.embedding(windows).flatten(-2))  # (B, T, context * C)
        return self._logits(self.hidden(x), x)  # (B, T, V)

    def states(self) -> tuple[StateSpec, ...]:
        return (StateSpec(name="tokens", dtype="int64", shape=(self.config.context - 1,)),)

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        window = torch.cat([state[0], token[:, None]], dim=1)  # (B, context)
        if self.tables is None:
            x = self.embedding(window).flatten(-2)
            return self._logits(self.hidden(x), x), window[:, 1:]
        size = self.embedding.num_embeddings
        places = size * torch.arange(self.config.context, device=token.device)
        reads = F.embedding(window + places, self.tables)  # (B, context, H)
        # Their sum as a product: ONNX Runtime's sum rounds otherwise in a batch of one.
        read = (reads.new_ones(1, self.config.context) @ reads).squeeze(1)
        return self._logits(read, x=None), window[:, 1:]

    def step_function(self) -> StepFunction:
        hidden = ["embedding.weight", "hidden.weight", "hidden.bias"]
        names = [*(hidden if self.tables is None else ["tables"]), "head.weight", "head.bias"]
        direct = [] if self.direct is None else ["direct.weight"]
        return StepFunction.of("MlpStep", self, *names, *direct)

    @torch.no_grad()
    def fold(self) -> None:
        if self.embedding.num_embeddings <= FEW_TOKENS and self.direct is None:
            weights = self.hidden.weight.view(-1, self.config.context, self.config.n_embd)
            tables = torch.einsum("vc,hpc->pvh", self.embedding.weight, weights)
            tables[-1] += self.hidden.bias
            self.tables = tables.flatten(0, 1).contiguous()

    def _logits(self, read: Tensor, x: Tensor | None) -> Tensor:
        """(..., V) from what the hidden layer reads (..., H), and the embeddings."""
        logits: Tensor = self.head(self.dropout(read.tanh()))
        return logits if self.direct is None else logits + self.direct(x)
