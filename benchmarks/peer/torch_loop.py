"""The decode loop that one writes in PyTorch, over any step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from makemore_export.models import Model
from numpy.typing import NDArray
from torch import Tensor

from peer import Peer, Source, batches

Step = Callable[[Tensor, int, Sequence[Tensor]], tuple[Tensor, Sequence[Tensor]]]
"""From tokens (B,), their position and the state to logits (B, V) and the next state."""


class TorchLoop(Peer):
    """One step a character for the whole batch, until its last string has stopped."""

    def __init__(self, source: Source, step: Step, zeros: Callable[[int], list[Tensor]]) -> None:
        """`zeros` makes the state of so many rows before the first step."""
        super().__init__(source)
        torch.set_num_threads(1)
        self.device, self.step, self.zeros = source.device, step, zeros

    @torch.inference_mode()
    def generate(self, n: int, batch_size: int, seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        return [row for rows in batches(n, batch_size) for row in self.batch(rows).tolist()]

    def batch(self, rows: int) -> Tensor:
        """Tokens (rows, at most max_length)."""
        state: Sequence[Tensor] = self.zeros(rows)
        token = torch.zeros(rows, dtype=torch.int64, device=self.device)
        stopped = torch.zeros(rows, dtype=torch.bool, device=self.device)
        generated = []
        for position in range(self.max_length):
            logits, state = self.step(token, position, state)
            token = torch.multinomial(logits.softmax(-1), num_samples=1)[:, 0]
            generated.append(token)
            stopped |= token == 0
            if stopped.all():
                break
        return torch.stack(generated, dim=1)

    def whole_batch(self, rows: int) -> Tensor:
        """Tokens (rows, max_length), with nothing in between that the host must wait for."""
        state: Sequence[Tensor] = self.zeros(rows)
        token = torch.zeros(rows, dtype=torch.int64, device=self.device)
        generated = []
        for position in range(self.max_length):
            logits, state = self.step(token, position, state)
            # The least of exponential variables at the rates of the shares, as `multinomial` does.
            token = (logits.softmax(-1) / torch.empty_like(logits).exponential_()).argmax(-1)
            generated.append(token)
        return torch.stack(generated, dim=1)

    @torch.inference_mode()
    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        state: Sequence[Tensor] = self.zeros(len(tokens))
        found = []
        for position, token in enumerate(torch.from_numpy(tokens).to(self.device).unbind(1)):
            now, state = self.step(token, position, state)
            found.append(now)
        return torch.stack(found, dim=1).float().cpu().numpy()


def loop_over(model: Model, source: Source) -> TorchLoop:
    """The loop over the model's own step."""
    specs = model.states()

    def step(token: Tensor, position: int, state: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        logits, *state = model.step(token, torch.full_like(token, position), *state)
        return logits, state

    def zeros(rows: int) -> list[Tensor]:
        return [
            torch.zeros(rows, *spec.shape, dtype=getattr(torch, spec.dtype), device=source.device)
            for spec in specs
        ]

    return TorchLoop(source, step, zeros)
