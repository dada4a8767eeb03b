"""Lines that are longer than a training should take: found, refused, dropped or cut."""

from __future__ import annotations

from array import array
from typing import Literal, TypeAlias

import numpy as np
from makemore.errors import DataError
from makemore.vocabulary import LABEL_END
from msgspec.structs import replace
from numpy.typing import NDArray

from makemore_export.data.length_bucketing import TOKENS_PER_STRING
from makemore_export.data.lines import Lines
from makemore_export.data.text import Text

LongLines: TypeAlias = Literal["error", "drop", "cut"]

_NAMED = 3  # of the longest lines
_PERCENTS = (99.9, 99.0, 95.0, 90.0)


def without_long_lines(
    text: Text, max_line_length: int | None, long_lines: LongLines, *, has_labels: bool
) -> Text:
    """The text with lines of at most so many characters, labels not counted; None: of any length.

    `DataError` if longer ones are an error, or if dropping them leaves none.
    """
    if max_line_length is None:
        return text
    lengths = _lengths(text, has_labels=has_labels)
    over = np.maximum(0, lengths - max_line_length)
    if not over.any():
        return text
    if long_lines == "error":
        raise DataError(
            f"{text.name}: {_longest(text, lengths)}; --max-line-length is {max_line_length}: "
            "--long-lines drop leaves longer ones out, cut keeps their beginnings"
        )
    kept = np.flatnonzero((over == 0) | (long_lines == "cut"))
    if not len(kept):
        raise DataError(f"{text.name}: no line has at most {max_line_length} characters")
    pairs = zip(text.lines.take(kept), over[kept].tolist(), strict=True)
    lines = Lines.of(line[: len(line) - end].rstrip() for line, end in pairs)
    return replace(
        text,
        lines=lines,
        numbers=array("q", (text.numbers[i] for i in kept.tolist())),
        duplicates=len(lines) - len(lines.first_rows),
    )


def count_long_lines(text: Text, max_line_length: int, *, has_labels: bool) -> int:
    """How many lines have more characters than that."""
    return int((_lengths(text, has_labels=has_labels) > max_line_length).sum())


def long_lines_warning(text: Text, *, has_labels: bool) -> str | None:
    """Which lines are so long that a batch has room for fewer of them, and a limit that helps."""
    lengths = _lengths(text, has_labels=has_labels)
    if lengths.max() < TOKENS_PER_STRING:
        return None
    found = f"warning: long lines slow training down: {_longest(text, lengths)}"
    for percent in _PERCENTS:
        limit = int(np.percentile(lengths, percent, method="inverted_cdf"))
        if limit < TOKENS_PER_STRING:
            return (
                f"{found}; {percent:g}% of all have at most {limit}: "
                f"--max-line-length {limit} --long-lines cut, or drop"
            )
    median = int(np.median(lengths))
    return f"{found}; half of all have {median:,} or more: --max-line-length, --long-lines cut"


def _lengths(text: Text, *, has_labels: bool) -> NDArray[np.int64]:
    if has_labels:
        return np.array([len(line.partition(LABEL_END)[2]) for line in text.lines])
    return text.lines.lengths


def _longest(text: Text, lengths: NDArray[np.int64]) -> str:
    first, *others = np.argsort(-lengths, kind="stable")[:_NAMED]
    more = "".join(f", line {text.numbers[i]} {lengths[i]:,}" for i in others)
    return f"line {text.numbers[first]} has {lengths[first]:,} characters{more}"
