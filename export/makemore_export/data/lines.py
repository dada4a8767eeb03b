"""Many lines in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import overload

import numpy as np
from makemore.errors import DataError
from numpy.typing import NDArray

from makemore_export.data.scratch import Scratch

END = "\0"
"""What is after each line; no text has it."""

_BLOCK_LINES, _BLOCK_BYTES = 1 << 16, 1 << 22  # most of a block, but for one line
_SHARE = 1 << 17  # lines that are compared with each other as Python's strings at a time


class Lines(Sequence[str]):
    """A sequence of strings, kept as their UTF-8 laid end to end, an `END` after each.

    Ten million names take 150 MB; as Python's strings they take 700. What is done with all of them
    is done block by block.
    """

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __init__(
        self,
        data: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        """Line i is data[offsets[i]:offsets[i + 1]]; with `rows` (N,), line rows[i] of these is."""
        self._data = data
        self._offsets = offsets  # (lines + 1,)
        self._rows = rows

    @classmethod
    def of(cls, lines: Iterable[str]) -> Lines:
        """Keeps lines, of which it holds a block at a time; `DataError` for one with an `END`."""
        if isinstance(lines, Lines):
            return lines
        data, ends = Scratch(np.uint8), [np.zeros(1, np.int64)]
        left = iter(lines)
        while block := [*islice(left, _BLOCK_LINES)]:
            encoded = END.join([*block, ""]).encode("utf-8", "surrogatepass")
            characters = np.frombuffer(encoded, np.uint8)
            ended = np.flatnonzero(characters == 0) + 1
            if len(ended) != len(block):
                raise DataError(f"line {next(line for line in block if END in line)!r:.80} has NUL")
            data.add(characters)
            ends.append(ended + ends[-1][-1])
        return cls(data.array(), np.concatenate(ends))

    def __len__(self) -> int:
        return len(self._offsets) - 1 if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Lines: ...
    def __getitem__(self, at: int | slice) -> str | Lines:
        if isinstance(at, slice):
            return self.take(np.arange(len(self))[at])
        row = range(len(self))[at] if self._rows is None else self._rows[at]
        begin, end = self._offsets[row : row + 2]
        return _decoded(self._data[begin : end - 1])

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(block.split(END)[:-1] for block in self.blocks())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, islice(self, 3)))
        return f"Lines([{shown}{', ...' if len(self) > 3 else ''}])"

    def take(self, rows: NDArray[np.int64]) -> Lines:
        """The lines of the numbers `rows`, in that order."""
        return Lines(self._data, self._offsets, rows if self._rows is None else self._rows[rows])

    def blocks(self) -> Iterator[str]:
        """All lines, many at a time, an `END` after each."""
        return map(_decoded, self._blocks())

    @cached_property
    def characters(self) -> frozenset[str]:
        """Those that the lines have."""
        return frozenset().union(*map(frozenset, self.blocks())) - {END}

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The characters of each line: (N,)."""
        found = [np.zeros(0, np.int64)]
        for block in self._blocks():
            ends = np.flatnonzero(block == 0)
            starts = (block & 0xC0) != 0x80  # of the bytes of a character all but the first
            found.append(np.diff(np.cumsum(starts)[ends], prepend=0) - 1)
        return np.concatenate(found)

    @cached_property
    def first_rows(self) -> NDArray[np.int64]:
        """The numbers of the lines that repeat none before them, rising."""
        shares = max(1, len(self) // _SHARE)
        share = np.fromiter((hash(line) % shares for line in self), np.int32, len(self))
        order = np.argsort(share, kind="stable")
        ends = np.cumsum(np.bincount(share, minlength=shares))
        kept = [np.zeros(0, np.int64)]
        for rows in np.split(order, ends[:-1]):  # equal lines are in the same one
            first: dict[str, int] = {}
            for line, row in zip(self.take(rows), rows.tolist(), strict=True):
                first.setdefault(line, row)
            kept.append(np.fromiter(first.values(), np.int64, len(first)))
        return np.sort(np.concatenate(kept))

    def _blocks(self) -> Iterator[NDArray[np.uint8]]:
        """The bytes of many lines at a time."""
        begin = 0
        while begin < len(self):
            end = min(begin + _BLOCK_LINES, len(self))
            rows = np.arange(begin, end) if self._rows is None else self._rows[begin:end]
            starts = self._offsets[rows]
            ends = np.cumsum(self._offsets[rows + 1] - starts)
            count = max(1, int(np.searchsorted(ends, _BLOCK_BYTES, "right")))
            starts, ends = starts[:count], ends[:count]
            begin += count
            if self._rows is None:
                yield self._data[starts[0] : starts[0] + ends[-1]]
                continue
            moved = starts - np.concatenate([[0], ends[:-1]])  # from the block to `data`
            sizes = np.diff(ends, prepend=0)
            yield self._data[np.arange(ends[-1]) + np.repeat(moved, sizes)]


def _decoded(data: NDArray[np.uint8]) -> str:
    return data.tobytes().decode("utf-8", "surrogatepass")
