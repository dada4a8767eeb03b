"""Models small enough to write down: the logits of each after any prefix.

No state here, and no batch: `logits` is a pure function of the ids so far. `tiny_artifacts.py`
writes the same models as ONNX steps. Weights are multiples of 1/4 and decays powers of two, so that
sums are exact in float32 in any order and logits can be compared with `==`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from makemore.artifact import StateSpec
from numpy.typing import NDArray

START = 0


@dataclass(frozen=True)
class TinyModel:
    """A model by its definition: `logits(ids)` are those of the next token, (V,) float32."""

    name: str
    characters: tuple[str, ...]
    logits: Callable[[Sequence[int]], NDArray[np.float32]]
    max_length: int
    block_size: int | None = None
    states: tuple[StateSpec, ...] = ()

    @property
    def vocab_size(self) -> int:
        return len(self.characters) + 1

    def encode(self, string: str) -> list[int]:
        return [self.characters.index(character) + 1 for character in string]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.characters[i - 1] for i in ids)


def weights(rows: int, columns: int, salt: int) -> NDArray[np.float32]:
    """Multiples of 1/4 in [-1, 1] without a visible pattern, (rows, columns)."""
    i, j = np.ogrid[:rows, :columns]
    return (((5 * i + 3 * j + salt * (i + 1) * (j + 2)) % 9 - 4) / 4).astype(np.float32)


def log_table(probabilities: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        return np.log(np.array(probabilities)).astype(np.float32)


BIGRAM_TABLE = (
    (0.10, 0.40, 0.30, 0.20),
    (0.20, 0.30, 0.25, 0.25),  # the likeliest after "a" is "a": at temperature 0 it never stops
    (0.25, 0.50, 0.05, 0.20),
    (0.45, 0.15, 0.30, 0.10),
)
"""P(next | last), rows and columns in the order: stop, a, b, c."""

SPARSE_TABLE = (
    (0.0, 0.5, 0.0, 0.25, 0.25),
    (0.2, 0.0, 0.6, 0.2, 0.0),
    (0.3, 0.4, 0.0, 0.0, 0.3),
    (0.5, 0.0, 0.0, 0.25, 0.25),
    (1.0, 0.0, 0.0, 0.0, 0.0),
)
"""With zeros, and characters of one to four UTF-8 bytes: stop, a, combining acute, middle, grin."""

BIGRAM_LOGITS = log_table(BIGRAM_TABLE)
SPARSE_LOGITS = log_table(SPARSE_TABLE)

BIGRAM = TinyModel(
    "bigram", tuple("abc"), lambda ids: BIGRAM_LOGITS[[START, *ids][-1]], max_length=20
)
SPARSE = TinyModel(
    "sparse", tuple("a\u0301中😀"), lambda ids: SPARSE_LOGITS[[START, *ids][-1]], max_length=20
)

HISTORY_EMBEDDING = weights(4, 3, 2)  # (V, D)
HISTORY_HEAD = weights(3, 4, 5)  # (D, V)
HISTORY_COUNTED = weights(5, 4, 7)  # (5, V)


def history_logits(ids: Sequence[int]) -> NDArray[np.float32]:
    """Every token ever fed counts: in a sum that halves each step, and in a count modulo 5."""
    trace = np.zeros(3, np.float32)
    count = 0
    for position, token in enumerate([START, *ids]):
        trace = trace / 2 + HISTORY_EMBEDDING[token]
        count = (2 * count + token + position) % 5
    return trace @ HISTORY_HEAD + HISTORY_COUNTED[count]


HISTORY = TinyModel(
    "history",
    tuple("abc"),
    history_logits,
    max_length=12,
    states=(
        StateSpec(name="trace", dtype="float32", shape=(3,)),
        StateSpec(name="count", dtype="int64", shape=()),
    ),
)

BLOCK = 8

HALF = TinyModel(
    "half",
    tuple("abc"),
    history_logits,
    max_length=BLOCK - 1,
    block_size=BLOCK,  # of sums of more tokens float16 would lose the last bits
    states=(StateSpec(name="trace", dtype="float16", shape=(3,)), HISTORY.states[1]),
)

CACHE_EMBEDDING = weights(4, 4, 4)  # (V, heads * D), heads = D = 2
CACHE_DISTANCE = weights(1, BLOCK, 11)[0]  # (BLOCK,) by how long ago a token was fed
CACHE_HEAD = weights(4, 4, 8)  # (heads * D, V)
CACHE_POSITION = weights(BLOCK, 4, 3)  # (BLOCK, V)


def cache_logits(ids: Sequence[int]) -> NDArray[np.float32]:
    """Every token ever fed counts, weighted by how long ago it was."""
    fed = [START, *ids]
    read = np.zeros(4, np.float32)
    for ago, token in enumerate(reversed(fed)):
        read += CACHE_DISTANCE[ago] * CACHE_EMBEDDING[token]
    return read @ CACHE_HEAD + CACHE_POSITION[len(fed) - 1]


CACHE = TinyModel(
    "cache",
    tuple("abc"),
    cache_logits,
    max_length=BLOCK - 1,
    block_size=BLOCK,
    states=(StateSpec(name="cache", dtype="float32", shape=(2, BLOCK, 2), time_axis=1),),
)

MODELS = (BIGRAM, SPARSE, HISTORY, HALF, CACHE)
