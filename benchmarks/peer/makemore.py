"""Ours: the artifact on one thread, what it remembers between calls included, and one request of
each kind that is prepared for all calls.

float16 and int8 are artifacts beside it, such as lstm-half; their weights are rounded, and so their
log-probabilities are not quite the model's.
"""

from __future__ import annotations

import functools

import makemore
import numpy as np
from numpy.typing import NDArray

from peer import NotComparableError, Peer, Source


class Makemore(Peer):
    """Strings come from C++, so `generate` is not used."""

    def __init__(self, source: Source, suffix: str = "", *, cold: bool = False) -> None:
        super().__init__(source)
        self.cold = cold
        artifact = source.artifact.with_name(source.artifact.name + suffix)
        if not artifact.exists():
            raise NotComparableError(f"there is no {artifact.name}")
        if suffix:
            self.largest_error = 0.2
        self.sampler = makemore.load(artifact, threads=1)

        @functools.cache
        def prepared(batch_size: int) -> makemore.PreparedRequest:
            return self.sampler.prepare(
                batch_size=batch_size, min_length=0, max_length=self.max_length
            )

        self.prepared = prepared

    def sample(self, n: int, batch_size: int, seed: int) -> list[str]:
        if self.cold:  # freeing what is kept, and the new cache, are timed, too
            self.sampler.clear_cache()
        return self.prepared(batch_size).sample(n, seed=seed)

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


def load(source: Source, *options: str) -> Peer:
    """`half` or `int8`, and `cold`: what earlier calls left in the cache is freed before each."""
    suffix = "".join(f"-{option}" for option in options if option != "cold")
    return Makemore(source, suffix, cold="cold" in options)
