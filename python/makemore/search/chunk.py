"""Strings that one decode made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore.decoded import Decoded
from makemore.sample import Sample


class RowNumbers(NamedTuple):
    """All that is known of strings beside their texts."""

    rows: NDArray[np.int64]


class Chunk(NamedTuple):
    """Strings that pass; `made.rows` are counted from `first_row` on."""

    texts: list[str]
    made: Decoded | _core.Strings | _core.Texts | RowNumbers
    first_row: int

    def rows(self) -> list[int]:
        """The row of each string."""
        return [self.first_row + row for row in self.made.rows.tolist()]

    def decoded(self) -> Decoded | _core.Strings:
        """The strings with their ids; `TypeError` where only texts were made."""
        if not isinstance(self.made, Decoded | _core.Strings):
            raise TypeError("the search of these strings made their texts alone")
        return self.made

    def take(self, indices: NDArray[np.intp] | list[int]) -> Chunk:
        """Some of the strings, in that order."""
        chosen = np.asarray(indices, dtype=np.intp)
        texts = [self.texts[i] for i in chosen]
        made = self.made
        if not isinstance(made, Decoded | _core.Strings):
            return Chunk(texts, RowNumbers(made.rows[chosen]), self.first_row)
        ids, offsets = made.ids, made.offsets
        lengths = (offsets[1:] - offsets[:-1])[chosen]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        at = np.repeat(offsets[:-1][chosen] - ends[:-1], lengths) + np.arange(ends[-1])
        log_probs, stopped, rows = made.log_probs[chosen], made.stopped[chosen], made.rows[chosen]
        decoded = Decoded(ids[at], ends, log_probs, stopped, rows)
        return Chunk(texts, decoded, self.first_row)

    def each(self) -> Iterator[tuple[list[int], bool]]:
        """The ids of each string, and whether it came to its stop."""
        made = self.decoded()
        ids, offsets, stopped = made.ids, made.offsets, made.stopped
        for i, (begin, end) in enumerate(pairwise(offsets.tolist())):
            yield ids[begin:end].tolist(), bool(stopped[i])

    def samples(self, seed: int) -> list[Sample]:
        """The strings with all that is known of them."""
        made = self.decoded()
        offsets, log_probs, stopped = made.offsets, made.log_probs, made.stopped
        wide, rows = made.ids.astype(np.int64), self.rows()
        return [
            Sample(
                text=text,
                ids=wide[offsets[i] : offsets[i + 1]],
                log_prob=float(log_probs[i]),
                finish_reason="stop" if stopped[i] else "length",
                seed=seed,
                row=rows[i],
            )
            for i, text in enumerate(self.texts)
        ]
