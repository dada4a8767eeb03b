"""Columns of a table in a Parquet or an Arrow file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from makemore.errors import DataError, MissingDependencyError
from makemore.reading.compression import MAX_UNPACKED

_FORMATS = {b"PAR1": "Parquet", b"ARROW1": "Arrow"}
_ROWS = 1 << 16  # at a time
_RATIO = 100  # most bytes that a byte of a large file may stand for


def arrow_format(data: memoryview) -> str | None:
    """The format of a table, told by its first bytes; None for what is none."""
    found = (name for magic, name in _FORMATS.items() if bytes(data[: len(magic)]) == magic)
    return next(found, None)


def arrow_columns(
    name: str, data: memoryview, columns: Sequence[str]
) -> Iterator[tuple[int, list[str | None]]]:
    """The cells of each row in `columns`, with its number, from 1; None where one is null.

    `DataError` names the place and what is wrong; `MissingDependencyError` without pyarrow.
    """
    try:
        arrow = import_module("pyarrow")
    except ImportError:
        raise MissingDependencyError(
            f"{name}: a {arrow_format(data)} table needs the package pyarrow: pip install "
            '"makemore[table]"'
        ) from None
    count = size = 0
    try:
        for batch in _batches(arrow, name, data, columns):
            size += batch.nbytes
            if size > max(MAX_UNPACKED, _RATIO * len(data)):
                raise DataError(f"{name}: {len(data):,} bytes of it unpack to more than {size:,}")
            cells = [_texts(arrow, name, batch, column) for column in columns]
            for row in zip(*cells, strict=True):
                count += 1
                yield count, [*row]
    except DataError:
        raise
    except (arrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{name}: it is not {arrow_format(data)}: {error}") from None


def _batches(arrow: Any, name: str, data: memoryview, columns: Sequence[str]) -> Iterator[Any]:
    source = arrow.BufferReader(arrow.py_buffer(data))
    if arrow_format(data) == "Parquet":
        file = import_module("pyarrow.parquet").ParquetFile(source)
        _check_names(name, file.schema_arrow.names, columns)
        yield from file.iter_batches(_ROWS, columns=[*columns])
        return
    file = import_module("pyarrow.ipc").open_file(source)
    _check_names(name, file.schema.names, columns)
    for i in range(file.num_record_batches):
        batch = file.get_batch(i).select([*columns])
        batch.validate(full=True)
        for begin in range(0, len(batch), _ROWS):
            yield batch.slice(begin, _ROWS)


def _check_names(name: str, names: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if column not in names:
            raise DataError(f"{name}: it has no column {column!r}; it has {names!r:.300}")


def _texts(arrow: Any, name: str, batch: Any, column: str) -> list[str | None]:
    cells = batch.column(column)
    kind = getattr(cells.type, "value_type", cells.type)  # of a dictionary
    if kind not in {arrow.string(), arrow.large_string()}:
        raise DataError(f"{name}: column {column!r} is of {cells.type}; it must be of strings")
    texts: list[str | None] = cells.to_pylist()
    if any(text and "\0" in text for text in texts):
        raise DataError(f"{name}: column {column!r} has a NUL, which no text has")
    return texts
