"""Probabilities from counts, with a little added to each count."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from makemore_export.data.counting import Ints
from makemore_export.models.sparse_level import Seen

Numbers = NDArray[np.float64] | Ints

_GRID = tuple(float(f"{k:.2g}") for k in np.geomspace(1e-3, 1e2, 51))  # ten a decade


class Additive(NamedTuple):
    """P(w | h) = (N(h, w) + k) / (N(h) + k V); uniform after a context never seen.

    (Chen & Goodman, 1999, section 2.1). An n-gram is the number h V + w of its context and token.
    """

    ngrams: Ints  # those that were counted, sorted
    counts: Ints
    totals: Numbers  # (S,) of each context
    k: float
    vocab_size: int

    @property
    def _norms(self) -> NDArray[np.float64]:
        return np.where(self.totals > 0, self.totals + self.k * self.vocab_size, 1)

    def table(self, contexts: int) -> NDArray[np.float32]:
        """Log-probabilities after the first `contexts`, of all tokens: (contexts, V)."""
        table = np.empty((contexts, self.vocab_size), np.float32)
        table[:] = self._unseen()[:contexts, None]
        own = self.ngrams < table.size
        ngrams = self.ngrams[own]
        norms = self._norms[ngrams // self.vocab_size]
        table.reshape(-1)[ngrams] = (self.counts[own] + self.k) / norms
        with np.errstate(divide="ignore"):  # k may be 0
            return np.log(table, out=table)

    def seen(self, ngrams: Ints, contexts: slice) -> Seen:
        """The log-probabilities of `ngrams`, and those of any other token after the `contexts`."""
        counts = counts_of(ngrams, self.ngrams, self.counts)
        of = ngrams // self.vocab_size
        unseen = self._unseen()
        values = np.where(
            self.totals[of] > 0, (counts + self.k) / self._norms[of], 1 / self.vocab_size
        )
        with np.errstate(divide="ignore"):
            return Seen(np.log(values), np.log(unseen[contexts]))

    def _unseen(self) -> NDArray[np.float64]:
        return np.where(self.totals > 0, self.k / self._norms, 1 / self.vocab_size)


def additive(
    train: tuple[Ints, Ints], dev: Ints | None, shape: tuple[int, int], smoothing: float | None
) -> Additive:
    """train: the n-grams that the strings have, sorted, and their counts. dev: those of each token.
    shape: how many contexts and tokens there are.

    smoothing: k, or None for the one of 51 from 0.001 to 100 under which `dev` is likeliest; 1
      without dev.
    """
    contexts, vocab_size = shape
    ngrams, counts = train
    totals = np.bincount(ngrams // vocab_size, weights=counts, minlength=contexts)  # (S,)
    if smoothing is None and dev is not None:
        seen = counts_of(dev, ngrams, counts)
        of = totals[dev // vocab_size]
        smoothing = max(_GRID, key=lambda k: np.log((seen + k) / (of + k * vocab_size)).sum())
    return Additive(ngrams, counts, totals, 1.0 if smoothing is None else smoothing, vocab_size)


def counts_of(wanted: Ints, ngrams: Ints, counts: Ints) -> Ints:
    """The counts of the `wanted` n-grams among the sorted `ngrams`, 0 where they are not."""
    at = np.searchsorted(ngrams, wanted).clip(max=len(ngrams) - 1)
    found: Ints = counts[at] * (ngrams[at] == wanted)
    return found
