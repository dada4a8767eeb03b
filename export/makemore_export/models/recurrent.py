"""Recurrent networks: what was read so far is a vector, or two, that each token changes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from makemore.artifact import StateSpec
from torch import Tensor, nn
from torch.nn import functional as F

from makemore_export.configs.model_configs import GRUConfig, RecurrentConfig, RNNConfig
from makemore_export.models.dropout import Dropout
from makemore_export.models.model import (
    FEW_TOKENS,
    Model,
    StepFunction,
    uniform_head,
)


class Recurrent(Model):
    """An embedding, layers of a recurrent cell, a linear head.

    A string starts from zeros: the start token's embedding does all that a learned start could.
    Training runs PyTorch's fused layers, a step the same weights by hand, which exports to fewer
    nodes.
    """

    Config = RecurrentConfig
    block_size = None
    layer_type: ClassVar[type[nn.RNN | nn.LSTM | nn.GRU]]
    memories: ClassVar[tuple[str, ...]] = ("hidden",)
    """The state tensors of a layer, its output first."""
    function: ClassVar[str]
    """The name of its step as a function of ONNX."""

    table: Tensor | None
    """What the first layer reads of each token (V, G), once folded."""

    def __init__(self, config: RecurrentConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.n_embd)
        self.dropout = Dropout(config.dropout)
        self.layers = self.layer_type(
            config.n_embd,
            config.n_hidden,
            config.n_layer,
            batch_first=True,
            dropout=config.dropout if config.n_layer > 1 else 0.0,
        )
        self.head = uniform_head(config.n_hidden, vocab_size)
        self.register_buffer("table", None, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x, _ = self.layers(self.dropout(self.embedding(tokens)))
        logits: Tensor = self.head(self.dropout(x))  # (B, T, V)
        return logits

    def states(self) -> tuple[StateSpec, ...]:
        return tuple(
            StateSpec(
                name=f"{memory}_{layer}", dtype=self.arithmetic, shape=(self.config.n_hidden,)
            )
            for layer in range(self.config.n_layer)
            for memory in self.memories
        )

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        first, *others = self.layers.all_weights
        read = (
            _read(self.embedding(token), first)
            if self.table is None
            else self.table.index_select(0, token)
        )
        size = len(self.memories)
        after = [*self.cell(read, first, *state[:size])]
        for layer, weights in enumerate(others, start=1):
            read = _read(after[-size], weights)
            after += self.cell(read, weights, *state[layer * size : (layer + 1) * size])
        return (self.head(after[-size]), *after)

    def step_function(self) -> StepFunction:
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        names = [f"layers.{kind}_l{i}" for i in range(self.config.n_layer) for kind in kinds]
        names = (
            ["embedding.weight", *names] if self.table is None else ["table", names[1], *names[3:]]
        )
        return StepFunction.of(self.function, self, *names, "head.weight", "head.bias")

    @torch.no_grad()
    def fold(self) -> None:
        if self.embedding.num_embeddings <= FEW_TOKENS:
            self.table = _read(self.embedding.weight, self.layers.all_weights[0])

    @staticmethod
    @abstractmethod
    def cell(read: Tensor, weights: Sequence[Tensor], *memory: Tensor) -> tuple[Tensor, ...]:
        """The next memory, each (B, H), of one layer that reads `read` (B, G).

        weights: from the input (G, C) and from the hidden units (G, H), then a bias (G,) of each,
          where G counts the gates' units.
        """


class RNN(Recurrent):
    """Elman, "Finding Structure in Time" (1990); as a language model Mikolov et al., "Recurrent
    neural network based language model" (2010), section 2, with tanh for the sigmoid.
    """

    Config = RNNConfig
    layer_type = nn.RNN
    function = "RnnStep"

    @staticmethod
    def cell(read: Tensor, weights: Sequence[Tensor], *memory: Tensor) -> tuple[Tensor, ...]:
        return ((read + _kept(memory[0], weights)).tanh(),)


class LSTM(Recurrent):
    """Graves, "Generating Sequences With Recurrent Neural Networks" (2013), section 2, equations 7
    to 11 without peepholes, after Hochreiter & Schmidhuber (1997).
    """

    layer_type = nn.LSTM
    function = "LstmStep"
    memories = ("hidden", "cell")

    @staticmethod
    def cell(read: Tensor, weights: Sequence[Tensor], *memory: Tensor) -> tuple[Tensor, ...]:
        hidden, cell = memory
        gates = read + _kept(hidden, weights)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=1)  # each (B, H)
        cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
        return output_gate.sigmoid() * cell.tanh(), cell


class GRU(Recurrent):
    """Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
    Machine Translation" (2014), section 2.3, with the reset gate after the product, as in cuDNN.
    """

    Config = GRUConfig
    layer_type = nn.GRU
    function = "GruStep"

    @staticmethod
    def cell(read: Tensor, weights: Sequence[Tensor], *memory: Tensor) -> tuple[Tensor, ...]:
        (hidden,) = memory
        reset_read, update_read, new_read = read.chunk(3, dim=1)  # each (B, H)
        reset_kept, update_kept, new_kept = _kept(hidden, weights).chunk(3, dim=1)
        reset = (reset_read + reset_kept).sigmoid()
        update = (update_read + update_kept).sigmoid()
        new = (new_read + reset * new_kept).tanh()
        return (new + update * (hidden - new),)


def _read(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """What the gates of a layer get from its input x (B, C): (B, G)."""
    from_x, _, bias, _ = weights
    return F.linear(x, from_x, bias)


def _kept(hidden: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """What they get from its hidden units (B, H): (B, G)."""
    _, from_hidden, _, bias = weights
    return F.linear(hidden, from_hidden, bias)
