"""Tables that commands write: lines of text, JSON lines, CSV, Parquet."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, TypeVar, get_args

import click
import msgspec

from makemore.commands.output_file import output_file
from makemore.commands.terminal import escape, escape_json
from makemore.errors import MissingDependencyError, OptionError

Format = Literal["text", "jsonl", "csv", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)

Row = Mapping[str, Any]
Write = Callable[[Sequence[Row]], None]
F = TypeVar("F", bound=Callable[..., Any])

FLOATS = "list of float64"
"""The type of a column that holds a list of numbers in each row: in CSV a list as in JSON."""

_CSV_LINE_END = "\r\n"
_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}


def table_options(command: F) -> F:
    """Adds --format and -o."""
    command = click.option(
        "-o",
        "--output",
        type=click.Path(allow_dash=True),
        callback=lambda _, __, place: None if place in (None, "-") else place_of(place),
        help="File.  [default: stdout]",
    )(command)
    return click.option(
        "--format",
        "table_format",
        type=click.Choice(FORMATS),
        help="Of what is written.  [default: that of the file's suffix, or text]",
    )(command)


def place_of(place: str) -> Path | str:
    """A path, or a URI as it is."""
    return place if "://" in place else Path(place)


def file_of(place: Path | str | None) -> Path | None:
    """Where one table is written, which is no URI."""
    if isinstance(place, str):
        raise OptionError(f"{place}: one table is written to a file of this machine, or to stdout")
    return place


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
    The file is there, whole, when the block is left; after an error it is as it was. On a terminal
    what it would act on is escaped.
    """
    if table_format == "parquet":
        if path is None:
            raise OptionError("parquet is written to a file: name one with -o")
        import_pyarrow()  # before a file is made
        with output_file(path) as stream, _parquet(stream, columns) as write:
            yield write
        return
    render = _renderer(table_format, [*columns], line, path is None and sys.stdout.isatty())
    with _output(path) as put:
        if table_format == "csv":
            put(render([dict(zip(columns, columns, strict=True))]))
        yield lambda rows: put(render(rows))


@contextmanager
def _output(path: Path | None) -> Iterator[Callable[[str], None]]:
    if path is None:
        yield lambda text: click.echo(text, nl=False)
        return
    with output_file(path) as stream:

        def put(text: str) -> None:
            stream.write(text.encode("utf-8", "surrogateescape"))

        yield put


def _renderer(
    table_format: Format, columns: Sequence[str], line: Callable[[Row], str], on_terminal: bool
) -> Callable[[Sequence[Row]], str]:
    """A function that gives rows as text, each with its line end."""
    if table_format == "text":
        shown_line = _escape_cells if on_terminal else str
        return lambda rows: "".join(f"{shown_line(line(row))}\n" for row in rows)
    if table_format == "jsonl":
        shown = escape_json if on_terminal else str
        return lambda rows: "".join(f"{shown(msgspec.json.encode(row).decode())}\n" for row in rows)

    def cell(value: Any) -> Any:
        if isinstance(value, list):
            return msgspec.json.encode(value).decode()
        return escape(value) if on_terminal and isinstance(value, str) else value

    # With another line end the module would leave a lone \r without quotes, and readers take it for
    # the end of a row.
    writer = csv.writer(_Echo(), lineterminator=_CSV_LINE_END)
    return lambda rows: "".join(
        f"{writer.writerow([cell(row[name]) for name in columns])}\n" for row in rows
    )


def _escape_cells(line: str) -> str:
    """A line of a table as a terminal shows it: the tabs between its cells are to be acted on."""
    return "\t".join(map(escape, line.split("\t")))


class _Echo:
    """A file for `csv.writer`, whose `writerow` returns what `write` returns."""

    def write(self, row: str) -> str:
        return row.removesuffix(_CSV_LINE_END)


@contextmanager
def _parquet(stream: IO[bytes], columns: Mapping[str, str]) -> Iterator[Write]:
    arrow, parquet = import_pyarrow()
    types = {
        name: arrow.list_(arrow.float64()) if kind == FLOATS else getattr(arrow, kind)()
        for name, kind in columns.items()
    }
    schema = arrow.schema([*types.items()])
    with parquet.ParquetWriter(stream, schema) as writer:
        yield lambda rows: writer.write_table(
            arrow.table({name: [row[name] for row in rows] for name in columns}, schema=schema)
        )


def import_pyarrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet; `MissingDependencyError` without them."""
    try:
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise MissingDependencyError(
            'parquet needs the package pyarrow: pip install "makemore[table]"'
        ) from None
    return pyarrow, pyarrow.parquet
