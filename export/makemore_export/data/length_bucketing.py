"""Which strings a step trains on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BUCKET = 32


class LengthBuckets:
    """Batches of strings of like lengths, so that little is padding; each string once an epoch.

    An epoch shuffles the strings, sorts `bucket` batches' worth of them at a time by length, equal
    ones at random, and shuffles the batches. What fills no whole batch is left out, other strings
    in each epoch. Everything is a function of seed and step.
    """

    def __init__(
        self, lengths: npt.NDArray[np.int64], batch_size: int, seed: int, bucket: int = BUCKET
    ) -> None:
        self.lengths = lengths  # (N,)
        self.batch_size = min(batch_size, len(lengths))
        self.seed = seed
        self.bucket = bucket
        self._epoch = -1
        self._batches = np.empty((len(lengths) // self.batch_size, self.batch_size), np.int64)

    def rows(self, step: int) -> npt.NDArray[np.int64]:
        """The strings (B,) of step number `step`, from 1."""
        epoch, batch = divmod(step - 1, len(self._batches))
        if epoch != self._epoch:
            self._batches[:] = self._shuffled(epoch)
            self._epoch = epoch
        rows: npt.NDArray[np.int64] = self._batches[batch]
        return rows

    def _shuffled(self, epoch: int) -> npt.NDArray[np.int64]:
        random = np.random.default_rng((self.seed, epoch))
        count, size = self._batches.shape
        rows = random.permutation(len(self.lengths))[: count * size]
        group = np.arange(len(rows)) // (self.bucket * size)
        rows = rows[np.lexsort((self.lengths[rows] + random.random(len(rows)), group))]
        return rows.reshape(count, size)[random.permutation(count)]
