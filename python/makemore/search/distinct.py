"""Each string once: by leaving out repeats, and where these dominate, over a trie without them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from makemore.errors import ExhaustedError
from makemore.search.chunk import Chunk
from makemore.search.string_trie import Drawn, StringTrie

if TYPE_CHECKING:
    from makemore.search.row_search import RowSearch

BLOCK = 10_000
"""Rows after which it is asked whether repeats dominate; whatever a call decodes at a time."""

WINDOW_STRINGS, WINDOW_ROWS = 1000, 1 << 20
"""It is asked over the last rows that hold so many strings that pass, or over so many rows."""

DOMINATE = 0.9
"""Share of repeats from which on the search goes on over a trie."""

MAX_FOUND = 1 << 16
"""Strings that a trie begins with at most; with more, repeats are left out until `max_rows`."""

_TRIE_CHUNK = 256


class DistinctSearch:
    """The strings of a search, each once, in the order in which they come first."""

    def __init__(self, search: RowSearch) -> None:
        self._search = search
        self._seen: set[str] = set()
        self._kept: list[Chunk] = []  # what was found, while a trie may yet be made of it
        self._block_end = self._window_begin = search.first_row
        self._block_end += BLOCK
        self._passed = self._repeats = 0  # of the window
        self.repeats_dominate = False

    def without_repeats(self, chunk: Chunk) -> Chunk:
        """What comes first in this chunk, the next of the search. Where repeats dominate after a
        block of rows, what comes later is left for the trie.
        """
        end = self._search.first_row + self._search.tried
        rows = chunk.rows()
        fresh: list[int] = []
        at = 0
        while not self.repeats_dominate:
            upto = bisect_left(rows, min(self._block_end, end), at)
            before = len(fresh)
            for i in range(at, upto):
                text = chunk.texts[i]
                if text not in self._seen:
                    self._seen.add(text)
                    fresh.append(i)
            self._passed += upto - at
            self._repeats += upto - at - (len(fresh) - before)
            at = upto
            if self._block_end > end:
                break
            self._end_block()
        if self.repeats_dominate:
            self._search.tried = self._window_begin - self._search.first_row
        found = chunk if len(fresh) == len(chunk.texts) else chunk.take(fresh)
        if len(self._seen) <= MAX_FOUND:
            self._kept.append(found)
        else:
            self._kept = []
        return found

    def _end_block(self) -> None:
        rows = self._block_end - self._window_begin
        if self._passed >= WINDOW_STRINGS or rows >= WINDOW_ROWS:
            many = self._repeats >= DOMINATE * self._passed
            self.repeats_dominate = many and len(self._seen) <= MAX_FOUND
            self._window_begin = self._block_end
            self._passed = self._repeats = 0
        self._block_end += BLOCK

    def chunks(self, n: int | None) -> Iterator[Chunk]:
        """Those that are missing of n strings, or all that are left, from a trie without those
        found so far.

        `ExhaustedError` where the rest of all strings has a probability below 2**-40.
        """
        search = self._search
        trie = StringTrie(search)
        trie.remove(ids for chunk in self._kept for ids in chunk.each())
        self._kept = []
        while n is None or search.found < n:
            found: list[Drawn] = []
            size = _TRIE_CHUNK if n is None else min(_TRIE_CHUNK, n - search.found)
            ended: ExhaustedError | None = None
            while len(found) < size and ended is None:
                try:
                    drawn = trie.draw(self._next_row(n))
                except ExhaustedError as error:
                    ended = error
                    break
                if drawn is not None and drawn.text not in self._seen:
                    self._seen.add(drawn.text)
                    found.append(drawn)
            if found:
                chunk = trie.chunk(found)
                passing = np.arange(len(found))
                if search.text_filter is not None:
                    passing = search.text_filter.passing(chunk.texts)
                search.found += len(passing)
                if len(passing):
                    yield chunk.take(passing)
            if ended is not None:
                raise search.given_up(n) if ended.mass is None else trie.exhausted()

    def _next_row(self, n: int | None) -> int:
        search = self._search
        search.require_rows(n)
        search.tried += 1
        return search.first_row + search.tried - 1
