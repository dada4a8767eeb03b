"""Columns of a table of comma-separated values, or with tabs or semicolons."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from makemore.errors import DataError
from makemore.text import BYTE_ORDER_MARK

_DELIMITERS = "\t;,"


def csv_columns(
    name: str, pieces: Iterable[str], columns: Sequence[str]
) -> Iterator[tuple[int, list[str | None]]]:
    """The cells of each row in `columns`, which the first row names; None where a row is too short.
    The pieces of the text end where lines do.

    A row has the number of its line, from 1, or of its last line where it goes over several. What
    divides cells is the tab, semicolon or comma that the first line has most of. `DataError` names
    the place and what is wrong.
    """
    pieces = iter(pieces)
    first = next(pieces, "").removeprefix(BYTE_ORDER_MARK)
    head = first.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=lambda each: (head.count(each), each == ","))
    lines = chain.from_iterable(io.StringIO(each, newline="") for each in chain([first], pieces))
    rows = csv.DictReader(lines, strict=True, delimiter=delimiter)
    try:
        names = [*(rows.fieldnames or ())]
        for column in columns:
            if column not in names:
                raise DataError(f"{name}: it has no column {column!r}; it has {names!r:.300}")
            if (times := names.count(column)) > 1:
                raise DataError(f"{name}: it has {times} columns {column!r}; 1 is the limit")
        for row in rows:
            yield rows.line_num, [row[column] for column in columns]
    except csv.Error as error:
        raise DataError(f"{name}, line {rows.reader.line_num}: it is not CSV: {error}") from None
