"""Modified and interpolated Kneser-Ney smoothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from makemore_export.data.counting import Ints, sum_by_number
from makemore_export.models.contexts import Events, Level
from makemore_export.models.counted import Counted
from makemore_export.models.sparse_level import Seen

_DISCOUNTS = np.array([0.5, 1, 1.5])  # as of KenLM --discount_fallback, where the data give none


def kneser_ney(counted: Counted) -> tuple[NDArray[np.float32], list[Seen]]:
    """Log-probabilities after contexts with dense rows, (D, V), and of the n-grams of the others.
    Any other token has that after the suffix, plus the weight of the context.

    Those after the empty context are interpolated with uniform ones.
    """
    levels, vocab_size = counted.levels, counted.vocab_size
    table = np.full((counted.dense_rows, vocab_size), 1 / vocab_size, np.float32)
    sparse: list[Seen] = []
    shorter = np.zeros(0, np.int64)
    known: NDArray[np.floating] = np.zeros(0)
    for length, (ngrams, counts) in enumerate(_adjusted_counts(levels, counted.events, vocab_size)):
        level = levels[length]
        contexts = ngrams // vocab_size - level.first
        size = len(level.suffixes)
        totals = np.bincount(contexts, weights=counts, minlength=size)
        discounts = discounts_of(counts)[np.minimum(counts, 3) - 1]
        left = np.bincount(contexts, weights=discounts, minlength=size) / totals
        own = (counts - discounts) / totals[contexts]
        if length < counted.dense:
            table[level.rows] = left[:, None] * table[level.suffixes]
            table.reshape(-1)[ngrams] += own
            known = table.reshape(-1)[ngrams]
        else:  # what was seen after a context was seen after its suffix
            suffix = level.suffixes[contexts] * vocab_size + ngrams % vocab_size
            known = own + left[contexts] * known[np.searchsorted(shorter, suffix)]
            sparse.append(Seen(np.log(known), np.log(left)))
        shorter = ngrams
    return np.log(table, out=table), sparse


def _adjusted_counts(
    levels: list[Level], events: Events, vocab_size: int
) -> list[tuple[Ints, Ints]]:
    """For each level its n-grams, as context times V plus token, and their counts.

    Those of the longest contexts, and of contexts that begin with the start token, are counts in
    the strings; others are numbers of distinct tokens that come before the n-gram.
    """
    suffixes = np.concatenate([level.suffixes for level in levels])
    whole = levels[-1].at >= 0
    longer = np.zeros(0, np.int64)
    counted = []
    for length, level in reversed([*enumerate(levels)]):
        raw = level.at[whole] * vocab_size + events.token[whole]
        continued = suffixes[longer // vocab_size] * vocab_size + longer % vocab_size
        longer, counts = sum_by_number(
            np.concatenate([raw, continued]),
            np.concatenate([events.times[whole], np.ones_like(continued)]),
        )
        counted.append((longer, counts))
        whole = (levels[length - 1].at >= 0) & (level.at < 0)
    return counted[::-1]


def discounts_of(counts: Ints) -> NDArray[np.float64]:
    """D1, D2 and D3+ from the counts of counts (Chen & Goodman, 1999, section 3)."""
    n = np.bincount(counts, minlength=5)[1:5]
    if n[:3].all():
        i = np.arange(1, 4)
        found: NDArray[np.float64] = i - (i + 1) * n[0] / (n[0] + 2 * n[1]) * n[1:] / n[:3]
        if (found > 0).all():  # or a token could get no probability
            return found
    return _DISCOUNTS
