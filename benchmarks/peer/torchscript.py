"""The artifact's `model.ts`, frozen, in a loop in NumPy."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from peer import Peer, Source
from peer.refill import RefillLoop, Run


class TorchScript(RefillLoop):
    """One module for every batch size."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        torch.set_num_threads(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(source.artifact / "model.ts").eval()
            self.module = torch.jit.freeze(module)
        self.specs = source.model.states()

    def start(self, rows: int) -> Run:
        state = [
            torch.zeros(rows, *spec.shape, dtype=getattr(torch, spec.dtype)) for spec in self.specs
        ]
        forgotten = [i for i, spec in enumerate(self.specs) if spec.time_axis is None]

        @torch.inference_mode()
        def run(token: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.float32]:
            for i in forgotten:
                state[i][torch.from_numpy(position == 0)] = 0
            inputs = torch.from_numpy(token), torch.from_numpy(position)
            logits, *state[:] = self.module(*inputs, *state)
            return logits.numpy()

        return run


def load(source: Source) -> Peer:
    return TorchScript(source)
