"""Ours with nothing remembered: every call is the first of a sampler, whose making it pays for."""

from __future__ import annotations

from makemore import Sampler

from peer import Peer, Source
from peer.makemore import Makemore


class Cold(Makemore):
    """The file is opened once."""

    def sample(self, n: int, batch_size: int, seed: int) -> list[str]:
        fresh = Sampler(self.sampler.artifact, self.sampler.new_step)
        return fresh.sample(
            n, batch_size=batch_size, seed=seed, min_length=0, max_length=self.max_length
        )


def load(source: Source) -> Peer:
    return Cold(source)
