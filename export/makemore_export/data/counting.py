"""How often numbers are in arrays that need not be in memory together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_COUNTED_AT_ONCE = 1 << 22  # numbers


def count_distinct(blocks: Iterable[Ints]) -> tuple[Ints, Ints]:
    """The distinct numbers of all blocks, sorted, and how often each is there.

    Takes the memory of the distinct numbers, and of a few million others.
    """
    numbers, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    waiting: list[Ints] = []
    size = 0
    for block in blocks:
        waiting.append(block)
        size += len(block)
        if size >= max(_COUNTED_AT_ONCE, len(numbers)):
            numbers, counts = _together(numbers, counts, waiting)
            waiting, size = [], 0
    return _together(numbers, counts, waiting)


def sum_by_number(numbers: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """The distinct ones of `numbers`, sorted, and the sum of the `counts` of each."""
    distinct, places = np.unique(numbers, return_inverse=True)
    sums = np.bincount(places, weights=counts, minlength=len(distinct))  # exact up to 2**53
    return distinct, sums.astype(np.int64)


def _together(numbers: Ints, counts: Ints, blocks: list[Ints]) -> tuple[Ints, Ints]:
    found, more = np.unique(np.concatenate([numbers[:0], *blocks]), return_counts=True)
    return sum_by_number(np.concatenate([numbers, found]), np.concatenate([counts, more]))
