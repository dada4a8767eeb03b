"""The things in a text file: its lines, what is between separators, or the cells of a column."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import msgspec
from makemore.errors import DataError
from makemore.reading.compression import unpacked
from makemore.reading.csv_columns import csv_columns
from makemore.reading.decoding import UTF8, decode, refuse_nul
from makemore.reading.file_bytes import STDIN, read_bytes
from makemore.text import BYTE_ORDER_MARK, LINE_END, numbered_items, numbered_lines
from makemore.vocabulary import LABEL_END

from makemore_export.data.mojibake import Mojibake, find_mojibake
from makemore_export.data.reading import Reading

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

    lines: tuple[str, ...]
    numbers: tuple[int, ...]
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
    name, raw, compression = content
    decoded = decode(name, raw, reading.encoding)
    refuse_nul(name, raw, decoded)
    text = decoded.text
    kept, count = _things(name, text, reading)
    if not kept:
        raise DataError(f"{name}: no line holds anything, of {count}; at least 1 is needed")
    lines = tuple(reading.normalised(line) for _, line in kept)
    return Text(
        lines=lines,
        numbers=tuple(number for number, _ in kept),
        name=name,
        sha256=content.sha256,
        blank=count - len(kept),
        duplicates=len(kept) - len(set(lines)),
        crlf=text.count("\r\n"),
        bom=text.startswith(BYTE_ORDER_MARK),
        encoding=decoded.encoding,
        compression=compression,
        mojibake=find_mojibake(lines),
        reading=reading,
    )


def _things(name: str, text: str, reading: Reading) -> tuple[list[tuple[int, str]], int]:
    if reading.column is not None:
        return _cells(name, text, reading)
    if reading.separator is not None:
        items = numbered_items(text, reading.separator)
        return items, len(items)
    return _lines(text)


def _lines(text: str) -> tuple[list[tuple[int, str]], int]:
    """The lines that hold something, with their numbers, and how many there are with the others."""
    *ended, last = LINE_END.split(text.removeprefix(BYTE_ORDER_MARK))
    return numbered_lines(text), len(ended) + bool(last.strip())


def _cells(name: str, text: str, reading: Reading) -> tuple[list[tuple[int, str]], int]:
    """The same of the cells of a column, each after its label, if there is a column of labels."""
    columns = [each for each in (reading.label_column, reading.column) if each is not None]
    found = []
    count = 0
    for number, cells in csv_columns(name, text, columns):
        count += 1
        if None in cells:
            raise DataError(
                f"{name}: line {number} has no {columns[cells.index(None)]!r}: it is too short"
            )
        *label, string = (LINE_END.sub("\n", cell or "").strip() for cell in cells)
        if label and any(mark in label[0] for mark in (LABEL_END, "\n")):
            raise DataError(
                f"{name}: line {number} has the label {label[0]!r:.60}; "
                "no tab or line end may be in one"
            )
        if string:
            found.append((number, LABEL_END.join([*label, string])))
    return found, count


class Content(NamedTuple):
    """The bytes of a text, unpacked; `compression` is what they were compressed with."""

    name: str
    raw: bytes
    compression: str | None

    @property
    def sha256(self) -> str:
        """Of the bytes: what tells a text from another."""
        return hashlib.sha256(self.raw).hexdigest()


def read_content(path: Path | None) -> Content:
    """The bytes of a file, of stdin for "-", or of what ships; `DataError` without any."""
    if path is None:
        return Content(BUILTIN, files(__package__).joinpath(BUILTIN).read_bytes(), None)
    # A name that is not UTF-8 is kept as it can be written into JSON.
    name = "stdin" if path == STDIN else path.name.encode(errors="backslashreplace").decode()
    return Content(name, *unpacked(name, read_bytes(path)))
