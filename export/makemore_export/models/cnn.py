"""The convolutional network: a stack of causal convolutions that look back ever farther."""

from __future__ import annotations

from typing import cast

import torch
from makemore.artifact import StateSpec
from torch import Tensor, nn
from torch.nn import functional as F

from makemore_export.configs.model_configs import CNNConfig
from makemore_export.models.dropout import Dropout
from makemore_export.models.model import (
    Model,
    StepFunction,
    uniform_head,
)

_CYCLE = 10  # layers until the dilations, 1 to 512, begin again


class GatedConvolution(nn.Module):
    """A convolution of x[t - dilation] and x[t], through a gate."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.filter_and_gate = nn.Linear(2 * width, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        """From x (B, T, C) to (B, T, C); before the start of a string it is 0."""
        before = F.pad(x, (0, 0, self.dilation, 0))[:, : x.shape[1]]
        return self._gated(before, x)

    def step(self, x: Tensor, position: Tensor, ring: Tensor) -> tuple[Tensor, Tensor]:
        """One position: x (B, C), and the last `dilation` of them in a ring (B, dilation, C)."""
        rows = torch.arange(x.shape[0], device=x.device)
        slot = (rows, position % self.dilation)
        return self._gated(ring[slot], x), ring.index_put(slot, x)

    def _gated(self, before: Tensor, x: Tensor) -> Tensor:
        both: Tensor = self.filter_and_gate(torch.cat([before, x], dim=-1))
        filtered, gate = both.chunk(2, dim=-1)
        return filtered.tanh() * gate.sigmoid()


class CNN(Model):
    """WaveNet: van den Oord et al., "WaveNet: A Generative Model for Raw Audio" (2016), sections
    2.1, 2.3 and 2.4.

    The sum of the layers' skip connections is one linear layer over all their outputs side by side.
    A step does the same work at every position, after Paine et al., "Fast Wavenet Generation
    Algorithm" (2016).
    """

    Config = CNNConfig
    block_size = None

    def __init__(self, config: CNNConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        width, layers = config.n_embd, range(config.n_layer)
        self.embedding = nn.Embedding(vocab_size, width)
        self.dropout = Dropout(config.dropout)
        self.convolutions = nn.ModuleList(
            GatedConvolution(width, 2 ** (layer % _CYCLE)) for layer in layers
        )
        self.residuals = nn.ModuleList(nn.Linear(width, width) for _ in layers[:-1])
        self.skip = nn.Linear(config.n_layer * width, config.n_hidden)
        self.hidden = nn.Linear(config.n_hidden, config.n_hidden)
        self.head = uniform_head(config.n_hidden, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.dropout(self.embedding(tokens))  # (B, T, C)
        outputs = []
        for layer, convolution in enumerate(self.convolutions):
            outputs.append(self.dropout(convolution(x)))
            x = self._residual(layer, x, outputs[-1])
        return self._logits(outputs)  # (B, T, V)

    def states(self) -> tuple[StateSpec, ...]:
        return tuple(
            StateSpec(
                name=f"ring_{layer}",
                dtype=self.arithmetic,
                shape=(cast("GatedConvolution", convolution).dilation, self.config.n_embd),
            )
            for layer, convolution in enumerate(self.convolutions)
        )

    def step_function(self) -> StepFunction:
        return StepFunction("CnnStep", dict(self.named_parameters()), {})

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        x = self.embedding(token)  # (B, C)
        outputs, rings = [], []
        for layer, (convolution, ring) in enumerate(zip(self.convolutions, state, strict=True)):
            output, after = cast("GatedConvolution", convolution).step(x, position, ring)
            x = self._residual(layer, x, output)
            outputs.append(output)
            rings.append(after)
        return (self._logits(outputs), *rings)

    def _residual(self, layer: int, x: Tensor, output: Tensor) -> Tensor:
        """What the next layer reads; nothing for the last layer."""
        return x + self.residuals[layer](output) if layer < len(self.residuals) else x

    def _logits(self, outputs: list[Tensor]) -> Tensor:
        """From the layers' outputs (..., C) to (..., V)."""
        x = self.skip(torch.cat(outputs, dim=-1)).relu()
        logits: Tensor = self.head(self.dropout(self.hidden(x).relu()))
        return logits
