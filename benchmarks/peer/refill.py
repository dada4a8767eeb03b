"""The decode loop that one writes in NumPy: a row whose string has ended takes the next string."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from peer import Peer

Run = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""Logits (B, V) of tokens (B,) at positions (B,); keeps the state from call to call."""


class RefillLoop(Peer):
    """Over the artifact's step, which at position 0 forgets the row's string before."""

    @abstractmethod
    def start(self, rows: int) -> Run:
        """A step of so many rows, its state zeros."""

    def generate(self, n: int, batch_size: int, seed: int) -> NDArray[np.int64]:
        generator = np.random.default_rng(seed)
        rows = min(n, batch_size)
        run = self.start(rows)
        ids = np.zeros((n + 1, self.max_length), np.int64)  # row n is for slots without a string
        string = np.arange(rows)
        token, position = np.zeros((2, rows), np.int64)
        begun = rows
        while (string < n).any():
            logits = run(token, position)
            cdf = np.exp(logits - logits.max(1, keepdims=True)).cumsum(1)  # (B, V), not normalised
            token = (cdf <= generator.random((rows, 1)) * cdf[:, -1:]).sum(1)
            ids[string, position] = token
            position += 1
            ended = (token == 0) | (position == self.max_length)
            fresh = np.count_nonzero(ended)
            if fresh:
                string[ended] = np.minimum(np.arange(begun, begun + fresh), n)
                begun += fresh
                token[ended] = position[ended] = 0
        return ids[:n]

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        run = self.start(len(tokens))
        logits = [run(now, np.full_like(now, t)).copy() for t, now in enumerate(tokens.T.copy())]
        return np.stack(logits, axis=1)
