"""The rows of a seed that pass, in order: what every way of sampling is made of."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from makemore._core import CancellationToken, Strings
from makemore.decoded import Decoded
from makemore.engine import Engine
from makemore.errors import ExhaustedError, OptionError
from makemore.options import MAX_EMPTY_ROWS, MAX_ROWS, SearchOptions
from makemore.sample import Sample
from makemore.search.chunk import Chunk
from makemore.search.distinct import DistinctSearch
from makemore.search.plan import Plan
from makemore.search.string_filter import TextFilter

T = TypeVar("T")

ROWS_PER_STRING = 100
"""Rows that are tried for each string, by default, where that is more than `MAX_ROWS`."""

_MAX_CHUNK = 1 << 22
"""Rows decoded at a time where few pass."""


class RowSearch:
    """A search among the rows of a seed, from `first_row` on."""

    def __init__(
        self,
        engine: Engine,
        options: SearchOptions,
        plan: Plan,
        text_filter: TextFilter | None,
        seed: int | None,
        first_row: int,
        cancellation: CancellationToken | None,
        *,
        log_probs: bool,
    ) -> None:
        self.engine = engine
        self.options = options
        self.plan = plan
        self.text_filter = text_filter
        self.seed = seed_of(seed)
        self.first_row = first_row
        self.log_probs = log_probs
        self.texts_only = not log_probs and not options.unique  # a trie is made of their ids
        self.cancellation = cancellation
        self.tried = 0  # rows so far
        self.found = 0  # strings that passed so far

    def decode_rows(self, rows: int) -> Chunk:
        """Those of the next rows that pass, whether they came before or not."""
        first_row = self._next_row(rows)
        if self.texts_only:
            texts, made = self.engine.decode_texts(
                self.plan.request, rows, first_row, self.seed, self.cancellation
            )
            chunk = Chunk(texts, made, first_row)
        else:
            decoded = self._decode(rows)
            chunk = Chunk(self.engine.vocabulary.texts_of(decoded), decoded, first_row)
        if self.text_filter is None:
            return chunk
        passing = self.text_filter.passing(chunk.texts)
        return chunk if len(passing) == len(chunk.texts) else chunk.take(passing)

    def decode_ids(self, rows: int) -> Decoded | Strings:
        """The same without their texts, which are made only where a filter reads them."""
        return self._decode(rows) if self.text_filter is None else self.decode_rows(rows).decoded()

    def _decode(self, rows: int) -> Strings:
        first_row = self._next_row(rows)
        return self.engine.decode(
            self.plan.request, rows, first_row, self.seed, self.log_probs, self.cancellation
        )

    def _next_row(self, rows: int) -> int:
        """The first of so many rows that come next."""
        require_row_numbers(self.first_row, self.tried + rows)
        return self.first_row + self.tried

    def texts(self, n: int) -> list[str]:
        """The first n strings that pass.

        `ExhaustedError`, with those that were found, where the rows end before.
        """
        found: list[str] = []
        if self.texts_only and self.text_filter is None and self.options.max_rows is None:
            # Mostly that is all, and a call for one string need not wait for what `chunks` does.
            found, _ = self.engine.decode_texts(
                self.plan.request, n, self._next_row(n), self.seed, self.cancellation
            )
            self.tried, self.found = n, len(found)
            if self.found == n:
                return found
        return self._extend(found, n, lambda chunk: chunk.texts)

    def samples(self, n: int) -> list[Sample]:
        """The same with all that is known of them; the search must make log-probabilities."""
        return self._extend([], n, lambda chunk: chunk.samples(self.seed))

    def _extend(self, found: list[T], n: int, of: Callable[[Chunk], list[T]]) -> list[T]:
        """What was found, and the rest of n."""
        try:
            for chunk in self.chunks(n):
                found += of(chunk)
        except ExhaustedError as error:
            error.found = found
            raise
        return found

    def chunks(self, n: int | None, most: int | None = None) -> Iterator[Chunk]:
        """The first n strings that pass, or all of them; `most` at a time, few at first.

        `ExhaustedError` where the rows end before.
        """
        distinct = DistinctSearch(self) if self.options.unique else None
        wanted = 1 if most is not None or n is None else n
        while n is None or self.found < n:
            left = None if n is None else n - self.found
            strings = wanted if left is None or wanted < left else left
            rows = self._rows_for(strings if most is None else min(strings, most), n)
            chunk = self.decode_rows(rows)
            self.tried += rows
            if distinct is not None:
                chunk = distinct.without_repeats(chunk)
            if left is not None and len(chunk.texts) > left:
                chunk = chunk.take(np.arange(left))
                self.tried = chunk.rows()[-1] + 1 - self.first_row
            self.found += len(chunk.texts)
            if chunk.texts:
                yield chunk
            if distinct is not None and distinct.repeats_dominate:
                yield from distinct.chunks(n)
                return
            wanted *= 2

    def _rows_for(self, wanted: int, n: int | None) -> int:
        """Rows to decode next: as many as are likely to hold so many strings that pass."""
        if self.tried == 0:
            rows = wanted
        elif self.found == 0:
            rows = 8 * self.tried
        else:
            rows = min(int(1.05 * wanted * self.tried / self.found) + 8, 64 * self.tried)
        if self.tried > 0:
            rows = min(rows, max(_MAX_CHUNK, wanted))
        if self.tried > 0 or self.options.max_rows is not None:
            rows = min(rows, self.require_rows(n))
        return rows

    def require_rows(self, n: int | None) -> int:
        """How many more rows may be tried; `ExhaustedError` where none."""
        limit = self.options.max_rows
        if limit is None:
            fewest = MAX_ROWS if self.options.asks else MAX_EMPTY_ROWS
            limit = max(fewest, ROWS_PER_STRING * (self.found + 1 if n is None else n))
        left = min(limit, 2**64 - self.first_row) - self.tried
        if left <= 0:
            raise self.given_up(n)
        return left

    def given_up(self, n: int | None) -> ExhaustedError:
        """That fewer than n were found, and how many rows n would take."""
        share = self.found / self.tried if self.tried else 0.0
        message = f"{self.found:,} strings were found in {self.tried:,} rows"
        if self.options.unique:
            message += ", each once"
        if n is not None and share > 0:
            rows = int(n / share * 1.1)
            message += f"; a share of {share:.2g} of the rows passes, so that {n:,} strings take "
            message += f"about {rows:,}: max_rows={rows}"
        elif self.found == 0:
            message += "; fewer than 1 in so many pass; more are tried with a larger max_rows"
        return ExhaustedError(message, rows=self.tried)


def seed_of(seed: int | None) -> int:
    """The seed of a call, which may have none."""
    return secrets.randbits(63) if seed is None else seed


def require_row_numbers(first_row: int, rows: int) -> None:
    """`OptionError` where so many rows would have numbers from 2**64 on."""
    if first_row + rows > 2**64:
        raise OptionError(f"first_row is {first_row}; with {rows} rows it passes 2**64")
