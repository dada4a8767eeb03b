"""The tiny models run by Python, through the same decode loop as the artifacts."""

import numpy as np
from makemore import Sampler
from tiny_artifacts import metadata


class LogitsStep:
    """A step over any function of the ids so far; its caller must keep to the rule of `select`."""

    def __init__(self, logits, vocab_size):
        self.vocab_size = vocab_size
        self.logits = logits
        self.fed = []

    def reset(self, rows):
        self.fed = [[] for _ in range(rows)]

    def run(self, tokens, positions):
        assert positions.tolist() == [len(fed) for fed in self.fed]
        assert len(tokens) == len(self.fed) > 0
        for fed, token in zip(self.fed, tokens.tolist(), strict=True):
            fed.append(token)
        assert all(fed[0] == 0 for fed in self.fed), "token 0 starts a string"
        return np.array([self.logits(fed[1:]) for fed in self.fed], dtype=np.float32)

    def select(self, parents):
        rows = parents.tolist()
        assert all(0 <= parent < len(self.fed) for parent in rows)
        assert all(parent >= len(rows) or rows[parent] == parent for parent in rows)
        self.fed = [list(self.fed[parent]) for parent in rows]


def sampler_of(tiny, threads=1):
    """A sampler over a tiny model that Python runs."""
    artifact = metadata(
        tiny.characters, max_length=tiny.max_length, block_size=tiny.block_size, states=tiny.states
    )
    return Sampler(artifact, lambda: LogitsStep(tiny.logits, tiny.vocab_size), threads=threads)
