"""The things in a text file: its lines, what is between separators, or the cells of a column."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from makemore.errors import DataError
from makemore.reading.compression import compression_of, unpacked_blocks
from makemore.reading.csv_columns import csv_columns
from makemore.reading.decoding import UTF8, decode_pieces
from makemore.reading.file_bytes import STDIN, read_blocks
from makemore.text import BYTE_ORDER_MARK, LINE_END, numbered_items, split_lines
from makemore.vocabulary import LABEL_END

from makemore_export.data.arrow_columns import arrow_columns, arrow_format
from makemore_export.data.lines import Lines
from makemore_export.data.mojibake import Mojibake, find_mojibake
from makemore_export.data.reading import Reading
from makemore_export.data.scratch import Scratch

BUILTIN = "us-names-2018.txt"
"""The data set that ships with the package; `README.md` has its provenance."""


_READING = Reading()


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The things of a file that hold something, `lines`, and what was met on the way.

    `numbers[i]` is the line number of `lines[i]` in the file, from 1; `sha256` is of the file's
    bytes, those unpacked if it was compressed with `compression`; `duplicates` counts the lines
    equal to an earlier one, `crlf` the line ends of Windows. `encoding` is what was read, which a
    byte order mark may have told; `reading` is what was asked for.
    """

    lines: Lines
    numbers: Sequence[int]
    name: str
    sha256: str
    blank: int
    duplicates: int
    crlf: int
    bom: bool
    encoding: str = UTF8
    compression: str | None = None
    mojibake: Mojibake | None = None
    reading: Reading = _READING


def read_text(path: Path | None = None, reading: Reading = _READING) -> Text:
    """Reads the things of a file, or of stdin for "-"; without `path`, of what ships.

    `DataError` if the file cannot be read or decoded, or holds nothing.
    """
    return text_of(read_content(path), reading)


def text_of(content: Content, reading: Reading = _READING) -> Text:
    """The things in the bytes of a file; `DataError` if they cannot be decoded, or hold nothing."""
    met = _Met(content, reading)
    lines = Lines.of(reading.normalised(thing) for thing in met.things())
    if not lines:
        raise DataError(
            f"{content.name}: no line holds anything, of {met.count}; at least 1 is needed"
        )
    return Text(
        lines=lines,
        numbers=met.numbers,
        name=content.name,
        sha256=content.sha256,
        blank=met.count - len(lines),
        duplicates=len(lines) - len(lines.first_rows),
        crlf=met.crlf,
        bom=met.bom,
        encoding=met.encoding,
        compression=content.compression,
        mojibake=find_mojibake(lines),
        reading=reading,
    )


class _Met:
    """What is met while a text is read, a piece at a time."""

    def __init__(self, content: Content, reading: Reading) -> None:
        self._name = content.name
        self._raw = content.raw
        self._reading = reading
        self.numbers = array("q")
        self.count = 0  # things, those that hold nothing too
        self.crlf = 0
        self.bom = False
        self.encoding = reading.encoding

    def things(self) -> Iterator[str]:
        """Those that hold something."""
        table = arrow_format(self._raw)
        if table and self._reading.column is None:
            raise DataError(f"{self._name}: is a {table} table: --column NAME trains on one of it")
        if self._reading.column is not None:
            found = self._cells(self._reading.column)
        elif self._reading.separator is not None:
            found = self._items(self._reading.separator)
        else:
            found = self._lines()
        for number, thing in found:
            self.numbers.append(number)
            yield thing

    def _pieces(self) -> Iterator[str]:
        pieces = decode_pieces(self._name, self._raw, self._reading.encoding)
        for i, (piece, encoding) in enumerate(pieces):
            self.bom = self.bom or (i == 0 and piece.startswith(BYTE_ORDER_MARK))
            self.encoding = encoding
            self.crlf += piece.count("\r\n")
            yield piece

    def _lines(self) -> Iterator[tuple[int, str]]:
        for i, piece in enumerate(self._pieces()):
            *ended, last = split_lines(piece if i else piece.removeprefix(BYTE_ORDER_MARK))
            for number, line in enumerate([*ended, last], self.count + 1):
                if kept := line.strip():
                    yield number, kept
            self.count += len(ended) + bool(last.strip())

    def _items(self, separator: str) -> Iterator[tuple[int, str]]:
        for item in numbered_items("".join(self._pieces()), separator):
            self.count += 1
            yield item

    def _cells(self, column: str) -> Iterator[tuple[int, str]]:
        """The cells of the column, each after its label, if there is a column of labels."""
        columns = [each for each in (self._reading.label_column, column) if each is not None]
        unit = "row" if arrow_format(self._raw) else "line"
        for number, cells in self._rows(columns):
            self.count += 1
            *label, string = (LINE_END.sub("\n", cell or "").strip() for cell in cells)
            if label and any(mark in label[0] for mark in (LABEL_END, "\n")):
                raise DataError(
                    f"{self._name}: {unit} {number} has the label {label[0]!r:.60}; "
                    "no tab or line end may be in one"
                )
            if string:
                yield number, LABEL_END.join([*label, string])

    def _rows(self, columns: Sequence[str]) -> Iterator[tuple[int, list[str | None]]]:
        if arrow_format(self._raw):
            yield from arrow_columns(self._name, self._raw, columns)
            return
        for number, cells in csv_columns(self._name, self._pieces(), columns):
            if None in cells:
                raise DataError(
                    f"{self._name}: line {number} has no {columns[cells.index(None)]!r}: "
                    "it is too short"
                )
            yield number, cells


class Content(NamedTuple):
    """The bytes of a text, unpacked; `compression` is what they were compressed with."""

    name: str
    raw: memoryview
    compression: str | None

    @property
    def sha256(self) -> str:
        """Of the bytes: what tells a text from another."""
        return hashlib.sha256(self.raw).hexdigest()


def read_content(path: Path | None) -> Content:
    """The bytes of a file, of stdin for "-", or of what ships; `DataError` without any."""
    if path is None:
        builtin = files(__package__).joinpath(BUILTIN).read_bytes()
        return Content(BUILTIN, memoryview(builtin), None)
    # A name that is not UTF-8 is kept as it can be written into JSON.
    name = "stdin" if path == STDIN else path.name.encode(errors="backslashreplace").decode()
    data = _kept(read_blocks(path))
    compression = compression_of(data)
    if compression is None:
        return Content(name, data, None)
    return Content(name, _kept(unpacked_blocks(name, data, compression)), compression.name)


def _kept(blocks: Iterable[bytes]) -> memoryview:
    kept = Scratch(np.uint8)
    for block in blocks:
        kept.add(np.frombuffer(block, np.uint8))
    return kept.array().data
