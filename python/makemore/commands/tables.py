"""Tables that commands read and write: lines of text, JSON lines, CSV, Parquet."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, TypeVar, get_args

import click
import msgspec

from makemore.commands.terminal import to_show
from makemore.errors import MissingDependencyError, OptionError

Format = Literal["text", "jsonl", "csv", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)

Row = Mapping[str, Any]
Write = Callable[[Sequence[Row]], None]
F = TypeVar("F", bound=Callable[..., Any])

_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}


def table_options(command: F) -> F:
    """Adds --format and -o."""
    command = click.option(
        "-o", "--output", type=click.Path(path_type=Path), help="File.  [default: stdout]"
    )(command)
    return click.option(
        "--format",
        "table_format",
        type=click.Choice(FORMATS),
        help="Of what is written.  [default: that of the file's suffix, or text]",
    )(command)


def format_of(path: Path | None, named: str | None) -> Format:
    """The format that was named, or else that of a file's suffix."""
    if named is not None:
        return named  # type: ignore[return-value]
    return _SUFFIXES.get(path.suffix.lower(), "text") if path is not None else "text"


@contextmanager
def open_table(
    path: Path | None, table_format: Format, columns: Mapping[str, str], line: Callable[[Row], str]
) -> Iterator[Write]:
    """Writes rows, some at a time, to a file, or to stdout without a `path`.

    columns: names, and Arrow types; JSON has the whole row. line: a row as a line of text.
    The file is there, whole, when the block is left; after an error it is as it was.
    """
    if table_format == "parquet":
        if path is None:
            raise OptionError("parquet is written to a file: name one with -o")
        with _replaced(path) as stream, _parquet(stream, columns) as write:
            yield write
        return
    if path is None:
        yield _writer(table_format, columns, line, lambda text: click.echo(text, nl=False), to_show)
        return
    with _replaced(path) as stream:
        yield _writer(
            table_format, columns, line, lambda text: _write(stream, text), lambda text: text
        )


def _write(stream: IO[bytes], text: str) -> None:
    stream.write(text.encode("utf-8", "surrogateescape"))


def _writer(
    table_format: Format,
    columns: Mapping[str, str],
    line: Callable[[Row], str],
    write: Callable[[str], None],
    shown: Callable[[str], str],
) -> Write:
    if table_format == "text":
        return lambda rows: write("".join(f"{shown(line(row))}\n" for row in rows))
    if table_format == "jsonl":
        return lambda rows: write("".join(f"{msgspec.json.encode(row).decode()}\n" for row in rows))
    buffer = io.StringIO()
    rows_of_csv = csv.DictWriter(buffer, [*columns], extrasaction="ignore", lineterminator="\n")
    rows_of_csv.writeheader()

    def write_csv(rows: Sequence[Row]) -> None:
        rows_of_csv.writerows(rows)
        write(buffer.getvalue())
        buffer.seek(0)
        buffer.truncate()

    write_csv([])
    return write_csv


@contextmanager
def _parquet(stream: IO[bytes], columns: Mapping[str, str]) -> Iterator[Write]:
    arrow, parquet = _pyarrow()
    schema = arrow.schema([(name, getattr(arrow, kind)()) for name, kind in columns.items()])
    with parquet.ParquetWriter(stream, schema) as writer:
        yield lambda rows: writer.write_table(
            arrow.table({name: [row[name] for row in rows] for name in columns}, schema=schema)
        )


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise MissingDependencyError(
            'parquet needs the package pyarrow: pip install "makemore[table]"'
        ) from None
    return pyarrow, pyarrow.parquet


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A new file beside `path`, which takes its place at the end."""
    partial = path.with_name(f".{path.name}.makemore-{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        raise OptionError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def read_column(path: Path, table_format: Format, column: str, encoding: str) -> list[str]:
    """The strings in a column of a table of JSON lines, CSV or Parquet; "-" is stdin.

    `OptionError` names the file, the row, and what is wrong.
    """
    data = read_bytes(path)
    if table_format == "parquet":
        values = _parquet_column(path, data, column)
    else:
        text = decoded(path, data, encoding)
        read = _jsonl_column if table_format == "jsonl" else _csv_column
        values = [*read(path, text, column)]
    for number, value in enumerate(values, 1):
        if not isinstance(value, str):
            raise OptionError(
                f"{path}, row {number}: {column} is {value!r:.80}; it must be a string"
            )
    return values


def _jsonl_column(path: Path, text: str, column: str) -> Iterable[Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise OptionError(f"{path}, line {number}: it is not JSON: {error}") from None
        if not isinstance(row, dict) or column not in row:
            raise OptionError(f"{path}, line {number}: it has no {column!r}")
        yield row[column]


def _csv_column(path: Path, text: str, column: str) -> Iterable[Any]:
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if column not in (rows.fieldnames or ()):
            raise OptionError(f"{path}: it has no column {column!r}; it has {rows.fieldnames}")
        for row in rows:
            yield row[column]
    except csv.Error as error:
        raise OptionError(f"{path}: it is not CSV: {error}") from None


def _parquet_column(path: Path, data: bytes, column: str) -> list[Any]:
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(io.BytesIO(data))
    except arrow.ArrowException as error:
        raise OptionError(f"{path}: it is not Parquet: {error}") from None
    if column not in table.column_names:
        raise OptionError(f"{path}: it has no column {column!r}; it has {table.column_names}")
    values: list[Any] = table.column(column).to_pylist()
    return values


def read_bytes(path: Path) -> bytes:
    """What a file holds, or stdin for "-"; `OptionError` where it cannot be read."""
    if str(path) != "-":
        try:
            return path.read_bytes()
        except OSError as error:
            raise OptionError(f"{path}: cannot be read: {error.strerror}") from None
    if sys.stdin is None:
        raise OptionError("standard input is closed; name a file")
    return sys.stdin.buffer.read()


def decoded(path: Path, data: bytes, encoding: str) -> str:
    """Bytes of a file as text; `OptionError` where they are none in that encoding."""
    try:
        return data.decode(encoding)
    except LookupError:
        raise OptionError(f"encoding {encoding!r} is unknown") from None
    except UnicodeDecodeError as error:
        raise OptionError(f"{path} is not {encoding} at byte {error.start}") from None
    except UnicodeError as error:
        raise OptionError(f"{path} cannot be read as {encoding}: {error}") from None
