"""What the strings of a text have, before any smoothing: contexts, the n-grams, and their form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from makemore_export.data.counting import Ints
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models.contexts import Events, Level, automaton, known_contexts

_DENSE = 16 << 20  # bytes up to which all contexts have dense rows, which are the fastest
_DENSE_OF_SPARSE = 2 << 20  # bytes of those that have them in a model that is larger


class Counted(NamedTuple):
    """The known contexts by length: those of the `dense` shortest lengths are to have a row each,
    of all tokens. `ngrams`: of each longer length, those that begin with such a context, sorted,
    each context times V plus token.
    """

    vocab_size: int
    events: Events
    levels: list[Level]
    dense: int
    ngrams: list[Ints]

    @classmethod
    def of(cls, train: EncodedStrings, order: int) -> Counted:
        vocab_size, events = train.vocab_size, Events.of(train, order - 1)
        levels = known_contexts(events, vocab_size, order - 1)
        dense = _dense_levels(levels, vocab_size)
        ngrams = [_ngrams(level, events, vocab_size) for level in levels[dense:]]
        return cls(vocab_size, events, levels, dense, ngrams)

    @property
    def total(self) -> int:
        """How many contexts there are."""
        return int(self.levels[-1].rows.stop)

    @property
    def dense_rows(self) -> int:
        """How many contexts have a dense row."""
        return int(self.levels[self.dense - 1].rows.stop)

    def table_bytes(self) -> int:
        """Of all tables, up to a few hundred."""
        if not self.ngrams:
            return int(self.total + self.levels[-1].first) * self.vocab_size * 4
        entries = sum(map(len, self.ngrams)) * 12 - len(self.ngrams[-1]) * 4
        rows = (self.total - self.dense_rows) * 12
        return self.dense_rows * self.vocab_size * 8 + rows + entries

    def next(self) -> NDArray[np.int32]:
        """The longest known context after each context with a row and each token."""
        return automaton(self.levels[: self.dense + 1], self.vocab_size)

    def states(self) -> NDArray[np.int32]:
        """Each context, or its suffix where it is one of the longest; none in the sparse form."""
        if self.ngrams:
            return np.zeros(0, np.int32)
        longest = self.levels[-1]
        return np.concatenate([np.arange(longest.first), longest.suffixes]).astype(np.int32)

    def sparse(self) -> list[tuple[Level, Level | None, Ints]]:
        """Each level without dense rows, the one of longer contexts, and its n-grams."""
        longer = [*self.levels[self.dense + 1 :], None]
        return [*zip(self.levels[self.dense :], longer, self.ngrams, strict=False)]


def _dense_levels(levels: list[Level], vocab_size: int) -> int:
    """How many levels, the shortest first, are to be dense: all if these are small, else few."""
    if (levels[-1].rows.stop + levels[-1].first) * vocab_size * 4 <= _DENSE:
        return len(levels)
    fitting = [each for each in levels[:-1] if each.rows.stop * vocab_size * 8 <= _DENSE_OF_SPARSE]
    return max(1, len(fitting))


def _ngrams(level: Level, events: Events, vocab_size: int) -> Ints:
    known = level.at >= 0
    return np.unique(level.at[known] * vocab_size + events.token[known])
