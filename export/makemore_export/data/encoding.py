"""Lines as token ids, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from makemore.vocabulary import STOP, Vocabulary
from numpy.typing import NDArray

from makemore_export.data.lines import END, Lines


def encoded(lines: Iterable[str], vocabulary: Vocabulary) -> Iterator[NDArray[np.integer]]:
    """The ids of many lines at a time, a `STOP` after each line.

    `OptionError` for what the vocabulary does not know.
    """
    if vocabulary.level == "character" and not vocabulary.labels:
        encode = _by_code_point(vocabulary)
    else:
        encode = _by_line(vocabulary)
    return map(encode, Lines.of(lines).blocks())


def encoded_lengths(lines: Iterable[str], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The tokens of each line, without its stop: (N,)."""
    counts = [lengths_of(ids) for ids in encoded(lines, vocabulary)]
    return np.concatenate([np.zeros(0, np.int64), *counts])


def lengths_of(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """The tokens before each `STOP`."""
    return np.diff(np.flatnonzero(ids == STOP), prepend=-1) - 1


def _by_line(vocabulary: Vocabulary) -> Callable[[str], NDArray[np.integer]]:
    def encode(block: str) -> NDArray[np.integer]:
        lines = block.split(END)[:-1]
        return np.array([i for line in lines for i in (*vocabulary.encode_line(line), STOP)])

    return encode


def _by_code_point(vocabulary: Vocabulary) -> Callable[[str], NDArray[np.integer]]:
    """All characters at once, by a table of code points; that of `END` is the one of `STOP`."""
    known = [ord(token) for token in vocabulary.tokens]
    table = np.full(max(known, default=0) + 2, -1, np.int32)
    table[known] = np.arange(1, len(known) + 1)
    table[ord(END)] = STOP

    def encode(block: str) -> NDArray[np.integer]:
        points = np.frombuffer(block.encode("utf-32-le", "surrogatepass"), np.uint32)
        ids = table[np.minimum(points, len(table) - 1)]
        if ids.min() < 0:
            for line in block.split(END):
                vocabulary.encode(line)  # which says what it does not know
        return ids

    return encode
