"""Eager PyTorch, a step over the new character alone; a transformer's caches written in place."""

from __future__ import annotations

from collections.abc import Sequence

from makemore_export.models.transformer import Transformer
from torch import Tensor
from torch.nn import functional as F

from peer import Source
from peer.torch_loop import TorchLoop, loop_over


class CachedTransformer:
    """The model's modules, one position at a time."""

    def __init__(self, model: Transformer) -> None:
        self.model = model
        config = model.config
        self.head_size = config.n_embd // config.n_head
        self.shape = (config.n_head, config.block_size, self.head_size)

    def zeros(self, rows: int) -> list[Tensor]:
        """Keys and values of each block, each (B, H, T, D)."""
        like = self.model.head.weight
        return [like.new_zeros(rows, *self.shape) for _ in self.model.blocks for _ in "kv"]

    def step(
        self, token: Tensor, position: int, state: Sequence[Tensor]
    ) -> tuple[Tensor, Sequence[Tensor]]:
        model = self.model
        x = model.token_embedding(token) + model.position_embedding.weight[position]  # (B, C)
        now, past = slice(position, position + 1), slice(position + 1)
        for block, keys, values in zip(model.blocks, state[::2], state[1::2], strict=True):
            qkv = block.attention(block.ln_1(x)).view(len(x), 3, -1, 1, self.head_size)
            query, keys[:, :, now], values[:, :, now] = qkv.unbind(1)  # each (B, H, 1, D)
            y = F.scaled_dot_product_attention(query, keys[:, :, past], values[:, :, past])
            x = x + block.projection(y.reshape(x.shape))
            x = x + block.mlp(x)
        return model.head(model.ln(x)), state


def load(source: Source) -> TorchLoop:
    model = source.model.to(source.device)
    if isinstance(model, Transformer):
        cached = CachedTransformer(model)
        return TorchLoop(source, cached.step, cached.zeros)
    return loop_over(model, source)
