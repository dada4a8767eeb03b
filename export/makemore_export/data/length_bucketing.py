"""Which strings a step trains on."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BUCKET = 32

TOKENS_PER_STRING = 256
"""A batch has at most so many tokens, padding included, times its size; fewer strings, if long."""


class LengthBuckets:
    """Batches of strings of like lengths, so that little is padding; each string once an epoch.

    An epoch shuffles the strings, sorts `bucket` batches' worth of them at a time by length, equal
    ones at random, and shuffles the batches. What fills no whole batch is left out, other strings
    in each epoch. A batch with more than `TOKENS_PER_STRING` tokens a string becomes several, none
    with fewer than `fewest` strings. Everything is a function of seed and step.
    """

    def __init__(
        self,
        lengths: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        bucket: int = BUCKET,
        *,
        fewest: int = 1,
    ) -> None:
        self.lengths = lengths  # (N,)
        self.batch_size = min(batch_size, len(lengths))
        self.seed = seed
        self.bucket = bucket
        self.fewest = fewest
        self.most_tokens = batch_size * TOKENS_PER_STRING
        self._ends: list[int] = []  # the last step of each epoch met so far
        self._epoch = -1
        self._batches: Sequence[npt.NDArray[np.int64]] = ()

    def rows(self, step: int) -> npt.NDArray[np.int64]:
        """The strings (B,) of step number `step`, from 1."""
        while not self._ends or self._ends[-1] < step:  # epochs may differ in their batches
            self._open(len(self._ends))
            self._ends.append(sum(self._ends[-1:]) + len(self._batches))
        epoch = bisect_left(self._ends, step)
        if epoch != self._epoch:
            self._open(epoch)
        return self._batches[step - 1 - (self._ends[epoch - 1] if epoch else 0)]

    def mean_tokens(self) -> float:
        """Tokens of a batch, on average, padding left out."""
        self.rows(1)
        whole = len(self.lengths) // self.batch_size
        return self.batch_size * float(self.lengths.mean()) * (whole / self._ends[0])

    def _open(self, epoch: int) -> None:
        shuffled = self._shuffled(epoch)
        self._epoch = epoch
        self._batches = [piece for batch in shuffled for piece in self._pieces(batch)]

    def _pieces(self, batch: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """A batch, shortest string first, in pieces of at most `most_tokens`."""
        pieces, end = [], len(batch)
        while end:
            count = max(self.fewest, self.most_tokens // max(1, int(self.lengths[batch[end - 1]])))
            begin = end - count if end - count >= self.fewest else 0
            pieces.append(batch[begin:end])
            end = begin
        return pieces

    def _shuffled(self, epoch: int) -> npt.NDArray[np.int64]:
        random = np.random.default_rng((self.seed, epoch))
        count, size = len(self.lengths) // self.batch_size, self.batch_size
        rows = random.permutation(len(self.lengths))[: count * size]
        keys = self.lengths[rows] + random.random(len(rows))
        for begin in range(0, len(rows), self.bucket * size):
            group = slice(begin, begin + self.bucket * size)
            rows[group] = rows[group][np.argsort(keys[group], kind="stable")]
        return rows.reshape(count, size)[random.permutation(count)]
