"""Where two runs of the same seed part: how near the coin was to the edge of a token's share.

Two engines whose logits differ by at most e give token shares that differ by at most e / 2, so a
coin farther from every edge decides alike in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import oracle
from numpy.typing import ArrayLike


def distances(
    logits: Callable[[Sequence[int]], ArrayLike],
    first: Sequence[Sequence[int]],
    second: Sequence[Sequence[int]],
    *,
    seed: int,
) -> dict[int, float]:
    """Of each row that the two runs (token ids a row, default options) do not share, the distance
    of the deciding coin to the nearest edge under `logits`.
    """
    return {
        row: distance(logits, one, other, coin_of=lambda p, row=row: oracle.coin(seed, row, p))
        for row, (one, other) in enumerate(zip(first, second, strict=True))
        if list(one) != list(other)
    }


def distance(logits, one, other, *, coin_of):
    """The same of one row, whose strings part at the first position where they differ."""
    pairs = zip([*one, oracle.STOP], [*other, oracle.STOP], strict=False)
    position = next(i for i, (a, b) in enumerate(pairs) if a != b)
    scores = np.asarray(logits(one[:position]), np.float64)
    weights = np.exp(scores - scores.max())
    edges = np.cumsum(weights) / weights.sum()
    return float(np.abs(edges - coin_of(position)).min())
