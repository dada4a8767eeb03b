"""`torch.compile` of one step, weights frozen into it, in a loop in NumPy.

A transformer has static caches (B, T, H, D), which its step writes in place. One row is a program
of its own; all larger batches share one of a dynamic batch size, compiled before what is timed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from makemore_export.models.transformer import Transformer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from peer import Peer, Source
from peer.refill import RefillLoop, Run


class CompiledStep(RefillLoop):
    """The model's own step, or a `StaticTransformer`'s."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        torch.set_num_threads(1)
        torch._inductor.config.freezing = True
        model = source.model
        if isinstance(model, Transformer):
            model = StaticTransformer(model)
        self.module, self.specs = Step(model).eval(), model.states()
        self.programs: dict[bool, Any] = {}

    def start(self, rows: int) -> Run:
        state = [
            torch.zeros(rows, *spec.shape, dtype=getattr(torch, spec.dtype)) for spec in self.specs
        ]
        forgotten = [i for i, spec in enumerate(self.specs) if spec.time_axis is None]
        several = rows > 1
        if several not in self.programs:
            self.programs[several] = torch.compile(self.module, dynamic=several, fullgraph=True)
        program = self.programs[several]

        @torch.inference_mode()
        def run(token: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.float32]:
            for i in forgotten:
                state[i][torch.from_numpy(position == 0)] = 0
            logits, *after = program(torch.from_numpy(token), torch.from_numpy(position), *state)
            if after:
                state[:] = after
            return logits.numpy()

        return run


class Step(torch.nn.Module):
    """A model's step as the module's forward."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        return self.model.step(token, position, *state)


class StaticTransformer(torch.nn.Module):
    """The model's modules, with caches that are written in place: its step gives logits alone."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model
        self.heads = model.config.n_head, model.config.n_embd // model.config.n_head

    def states(self) -> Any:
        return self.model.states()

    def step(self, token: Tensor, position: Tensor, *caches: Tensor) -> tuple[Tensor]:
        model = self.model
        row = torch.arange(len(token))
        x = model.token_embedding(token) + model.position_embedding(position)  # (B, C)
        slots = torch.arange(caches[0].shape[1])
        seen = (slots <= position[:, None])[:, None, None]  # (B, 1, 1, T)
        for block, keys, values in zip(model.blocks, caches[::2], caches[1::2], strict=True):
            query, key, value = block.attention(block.ln_1(x)).chunk(3, 1)  # each (B, C)
            keys[row, position] = key
            values[row, position] = value
            query = query.unflatten(1, self.heads)[:, :, None]  # (B, H, 1, D)
            of_heads = (cache.unflatten(2, self.heads).transpose(1, 2) for cache in (keys, values))
            y = F.scaled_dot_product_attention(query, *of_heads, attn_mask=seen)
            x = x + block.projection(y.reshape(x.shape))
            x = x + block.mlp(x)
        return (model.head(model.ln(x)),)


def load(source: Source) -> Peer:
    return CompiledStep(source)
