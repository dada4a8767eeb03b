"""Ours: the artifact on one thread, what it remembers between calls included."""

from __future__ import annotations

import makemore
import numpy as np
from numpy.typing import NDArray

from peer import Peer, Source


class Makemore(Peer):
    """Strings come from C++, so `generate` is not used."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.sampler = makemore.load(source.artifact, threads=1)

    def sample(self, n: int, batch_size: int, seed: int) -> list[str]:
        return self.sampler.sample(
            n, batch_size=batch_size, seed=seed, min_length=0, max_length=self.max_length
        )

    def generate(self, n: int, batch_size: int, seed: int) -> list[NDArray[np.int64]]:
        made = self.sampler.sample_ids(
            n, batch_size=batch_size, seed=seed, min_length=0, max_length=self.max_length
        )
        return [string.ids for string in made]

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        step = self.sampler.new_step()
        step.reset(len(tokens))
        found = [
            step.run(now, np.full_like(now, t)).copy() for t, now in enumerate(tokens.T.copy())
        ]
        return np.stack(found, axis=1)


def load(source: Source) -> Peer:
    return Makemore(source)
