"""Probabilities from counts, with a little added to each count."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

Smoothing = Annotated[
    float, Meta(ge=0, le=1e6, description="Added to each count.  [default: the best on dev]")
]
"""The k of `additive`; a million outweighs all counts."""

_GRID = tuple(float(f"{k:.2g}") for k in np.geomspace(1e-3, 1e2, 51))  # ten a decade


def additive(
    train: NDArray[np.int64],
    dev: NDArray[np.int64] | None,
    shape: tuple[int, int],
    smoothing: float | None,
) -> tuple[NDArray[np.float32], float]:
    """Log-probabilities (S, V) = `shape`, and the k of P(w | h) = (N(h, w) + k) / (N(h) + k V).

    train, dev: the n-grams of the strings, each as the number h V + w of its context and its token.
    smoothing: k, or None for the one of 51 from 0.001 to 100 under which `dev` is likeliest; 1
      without dev. Uniform after a context never seen. (Chen & Goodman, 1999, section 2.1)
    """
    contexts, vocab_size = shape
    ngrams, counts = np.unique(train, return_counts=True)
    totals = np.bincount(ngrams // vocab_size, weights=counts, minlength=contexts)  # (S,)
    if smoothing is None and dev is not None:
        at = np.searchsorted(ngrams, dev).clip(max=len(ngrams) - 1)
        seen = counts[at] * (ngrams[at] == dev)
        of = totals[dev // vocab_size]
        smoothing = max(_GRID, key=lambda k: np.log((seen + k) / (of + k * vocab_size)).sum())
    k = 1.0 if smoothing is None else smoothing
    norms = np.where(totals > 0, totals + k * vocab_size, 1)
    table = np.empty(shape, np.float32)
    table[:] = np.where(totals > 0, k / norms, 1 / vocab_size)[:, None]
    table.reshape(-1)[ngrams] = (counts + k) / norms[ngrams // vocab_size]
    with np.errstate(divide="ignore"):  # k may be 0
        return np.log(table, out=table), k
