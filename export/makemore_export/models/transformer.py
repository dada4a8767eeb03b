"""The transformer of GPT-2, small."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from makemore.artifact import StateSpec
from torch import Tensor, nn
from torch.nn import functional as F

from makemore_export.configs.model_configs import Activation, TransformerConfig
from makemore_export.models.dropout import Dropout
from makemore_export.models.model import (
    Model,
    StepFunction,
)

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


class Block(nn.Module):
    """Causal self-attention, then a perceptron; each adds to x what it makes of a norm of x."""

    heads: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.n_embd
        self.n_head = config.n_head
        self.head_size = width // config.n_head
        self.activation = ACTIVATIONS[config.activation]
        self.ln_1 = nn.LayerNorm(width, config.epsilon)
        self.attention = nn.Linear(width, 3 * width)  # query, key and value side by side
        self.projection = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width, config.epsilon)
        self.mlp_up = nn.Linear(width, config.hidden)
        self.mlp_down = nn.Linear(config.hidden, width)
        self.dropout = Dropout(config.dropout)
        heads = torch.eye(self.n_head).repeat_interleave(self.head_size, dim=1)
        self.register_buffer("heads", heads, persistent=False)  # (H, C): 1 on the columns of a head

    def forward(self, x: Tensor) -> Tensor:
        """From x (B, T, C) to (B, T, C)."""
        batch, time, width = x.shape
        qkv = self.attention(self.ln_1(x)).view(batch, time, 3, self.n_head, self.head_size)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        y = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.dropout(self.projection(y.transpose(1, 2).reshape(batch, time, width)))
        return x + self.mlp(x)

    def mlp(self, x: Tensor) -> Tensor:
        hidden = self.activation(self.mlp_up(self.ln_2(x)))
        result: Tensor = self.dropout(self.mlp_down(hidden))
        return result

    def step(
        self, x: Tensor, slot: tuple[Tensor, Tensor], mask: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One position: x (B, C), caches (B, T, C), `slot` (row, position), `mask` (B, 1, T).

        The heads of a row share one matrix product: each query is laid out over all C columns, zero
        outside those of its head. That is H times the arithmetic in a number of products H times
        smaller; they are so small that their number is what costs. The caches need no head axis.
        """
        query, key, value = self.attention(self.ln_1(x)).chunk(3, dim=1)  # each (B, C)
        keys = keys.index_put(slot, key)
        values = values.index_put(slot, value)
        query = query[:, None] * (self.heads / math.sqrt(self.head_size))  # (B, H, C)
        weights = (query @ keys.transpose(1, 2) + mask).softmax(-1)  # (B, H, T)
        y = (weights @ values * self.heads).sum(1)  # (B, C)
        x = x + self.projection(y)
        return x + self.mlp(x), keys, values


class Transformer(Model):
    """GPT-2: learned positions, pre-norm blocks, a last LayerNorm, a head of its own.

    Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section 2.3, with
    the initialisation given there and the tanh form of GELU unless the config says otherwise.
    """

    Config = TransformerConfig
    future: Tensor

    def __init__(self, config: TransformerConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.block_size = config.block_size
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.block_size, config.n_embd)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln = nn.LayerNorm(config.n_embd, config.epsilon)
        self.head = nn.Linear(config.n_embd, vocab_size, bias=config.head_bias)
        future = torch.full((config.block_size, config.block_size), -torch.inf).triu(1)
        self.register_buffer("future", future[:, None], persistent=False)  # [position, 0, slot]
        self._initialise()

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(("projection.weight", "mlp_down.weight"))
                shrink = math.sqrt(2 * self.config.n_layer) if residual else 1.0
                nn.init.normal_(parameter, std=0.02 / shrink)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.dropout(self.token_embedding(tokens) + self.position_embedding(positions))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.ln(x))  # (B, T, V)
        return logits

    def step_function(self) -> StepFunction:
        config = self.config
        attributes: dict[str, Any] = {"n_head": config.n_head, "epsilon": config.epsilon}
        if config.activation != "gelu_tanh":
            attributes["activation"] = config.activation
        return StepFunction("TransformerStep", dict(self.named_parameters()), attributes)

    def states(self) -> tuple[StateSpec, ...]:
        shape = (self.config.block_size, self.config.n_embd)
        return tuple(
            StateSpec(name=f"{kind}_{layer}", dtype=self.arithmetic, shape=shape, time_axis=0)
            for layer in range(self.config.n_layer)
            for kind in ("key", "value")
        )

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        x = self.token_embedding(token) + self.position_embedding(position)  # (B, C)
        slot = (torch.arange(token.shape[0], device=token.device), position)
        mask = self.future.index_select(0, position)  # (B, 1, T)
        caches = []
        for block, keys, values in zip(self.blocks, state[::2], state[1::2], strict=True):
            x, *cache = cast("Block", block).step(x, slot, mask, keys, values)
            caches += cache
        return (self.head(self.ln(x)), *caches)
