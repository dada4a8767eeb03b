"""Strings that commands read: a column of JSON lines, CSV or Parquet."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from makemore.commands.tables import Format, format_of, import_pyarrow
from makemore.errors import OptionError
from makemore.reading.compression import SUFFIXES, unpacked
from makemore.reading.csv_columns import csv_columns
from makemore.reading.decoding import decode
from makemore.reading.file_bytes import read_bytes
from makemore.text import BYTE_ORDER_MARK

Numbered = Iterator[tuple[int, Any]]


def source_format(path: Path, named: str | None) -> Format:
    """The format that was named, or else that of a file's suffix, compressed or not."""
    return format_of(path.with_suffix("") if path.suffix in SUFFIXES else path, named)


def unit_of(table_format: Format) -> str:
    """What a format counts: messages say "line 3" of a text, and "row 3" of Parquet."""
    return "row" if table_format == "parquet" else "line"


def read_column(
    path: Path, table_format: Format, column: str, encoding: str
) -> list[tuple[int, str]]:
    """The strings in a column of a table of JSON lines, CSV or Parquet, each with the number of its
    line, or of its row in Parquet, from 1. "-" is stdin.

    A row of CSV that goes over several lines has the number of its last. `OptionError` names the
    file, the place, and what is wrong.
    """
    if table_format == "parquet":
        values = _parquet_column(path, read_bytes(path), column)
    else:
        text = text_of(path, encoding).removeprefix(BYTE_ORDER_MARK)
        read = _jsonl_column if table_format == "jsonl" else _csv_column
        values = read(path, text, column)
    numbered = [*values]
    for number, value in numbered:
        if not isinstance(value, str):
            raise OptionError(
                f"{path}, {unit_of(table_format)} {number}: {column} is {value!r:.80}; "
                "it must be a string"
            )
    return numbered


def _jsonl_column(path: Path, text: str, column: str) -> Numbered:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise OptionError(f"{path}, line {number}: it is not JSON: {error}") from None
        if not isinstance(row, dict) or column not in row:
            raise OptionError(f"{path}, line {number}: it has no {column!r}")
        yield number, row[column]


def _csv_column(path: Path, text: str, column: str) -> Numbered:
    for number, [value] in csv_columns(str(path), [text], [column]):
        yield number, value


def _parquet_column(path: Path, data: bytes, column: str) -> Numbered:
    arrow, parquet = import_pyarrow()
    try:
        with parquet.ParquetFile(io.BytesIO(data)) as file:
            names = file.schema_arrow.names
            values = file.read(columns=[column])[column].to_pylist() if column in names else None
    except (arrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise OptionError(f"{path}: it is not Parquet: {error}") from None
    if values is None:
        raise OptionError(f"{path}: it has no column {column!r}; it has {names!r:.300}")
    return enumerate(values, 1)


def text_of(path: Path, encoding: str) -> str:
    """What a file or stdin holds, unpacked and decoded; `DataError` where it cannot be."""
    data, _ = unpacked(str(path), read_bytes(path))
    return decode(str(path), data, encoding).text
