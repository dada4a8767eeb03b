"""The lecture's way: a GPT-2 and a `generate` in eager PyTorch, written after its description.

Attention with an explicit mask, GELU by its formula, and for every new character a forward over the
whole string so far for every row of the batch, softmax, `torch.multinomial`, `torch.cat`.
"""

from __future__ import annotations

import math

import torch
from makemore_export.models.transformer import Transformer
from torch import Tensor
from torch.nn import functional as F


class LectureTransformer:
    """The forward of the lecture with the weights of ours."""

    def __init__(self, model: Transformer) -> None:
        self.block_size = model.config.block_size
        self.n_head = model.config.n_head
        self.weights = model.state_dict()
        self.n_layer = model.config.n_layer
        self.mask = torch.tril(torch.ones(self.block_size, self.block_size))

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) of tokens (B, T)."""
        w = self.weights
        x = w["token_embedding.weight"][tokens]
        x = x + w["position_embedding.weight"][torch.arange(tokens.shape[1])]  # (B, T, C)
        for layer in range(self.n_layer):
            x = x + self.attention(layer, self.norm(f"blocks.{layer}.ln_1", x))
            x = x + self.mlp(layer, self.norm(f"blocks.{layer}.ln_2", x))
        return self.norm("ln", x) @ w["head.weight"].T

    def attention(self, layer: int, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        query, key, value = self.linear(f"blocks.{layer}.attention", x).split(width, dim=2)
        heads = (batch, time, self.n_head, width // self.n_head)
        query, key, value = (t.view(heads).transpose(1, 2) for t in (query, key, value))
        weights = (query @ key.transpose(-2, -1)) * (1 / math.sqrt(key.size(-1)))
        weights = weights.masked_fill(self.mask[:time, :time] == 0, float("-inf"))
        y = F.softmax(weights, dim=-1) @ value  # (B, H, T, D)
        y = y.transpose(1, 2).contiguous().view(batch, time, width)
        return self.linear(f"blocks.{layer}.projection", y)

    def mlp(self, layer: int, x: Tensor) -> Tensor:
        x = self.linear(f"blocks.{layer}.mlp_up", x)
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))
        return self.linear(f"blocks.{layer}.mlp_down", 0.5 * x * (1 + torch.tanh(inner)))

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias)


@torch.no_grad()
def generate(model: LectureTransformer, rows: int, max_length: int) -> list[list[int]]:
    """Token ids of `rows` strings, each cut at its stop token or at `max_length`."""
    tokens = torch.zeros(rows, 1, dtype=torch.int64)
    for _ in range(max_length):
        logits = model(tokens[:, -model.block_size :])[:, -1, :]  # (B, V)
        probabilities = F.softmax(logits, dim=-1)
        tokens = torch.cat((tokens, torch.multinomial(probabilities, num_samples=1)), dim=1)
    strings = [row[1:] for row in tokens.tolist()]
    return [string[: string.index(0)] if 0 in string else string for string in strings]
