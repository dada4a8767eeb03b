"""A text file, one thing per line."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import msgspec
from makemore.errors import DataError
from makemore.reading.compression import unpacked
from makemore.reading.decoding import UTF8, decode, refuse_nul
from makemore.reading.file_bytes import STDIN, read_bytes
from makemore.text import BYTE_ORDER_MARK, LINE_END, numbered_lines

from makemore_export.data.mojibake import Mojibake, find_mojibake

BUILTIN = "us-names-2018.txt"
"""The data set that ships with the package; `README.md` has its provenance."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of a file that hold something, and what was met on the way.

    `numbers[i]` is the line number of `lines[i]` in the file, from 1; `sha256` is of the file's
    bytes, those unpacked if it was compressed with `compression`; `duplicates` counts the lines
    equal to an earlier one, `crlf` the line ends of Windows. `encoding` is what was read, which a
    byte order mark may have told.
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


def read_text(path: Path | None = None, encoding: str = UTF8) -> Text:
    """Reads one thing per line, as `numbered_lines` cuts them; without `path`, what ships.

    `DataError` if the file cannot be read or decoded, or holds nothing.
    """
    return text_of(read_content(path), encoding)


def text_of(content: Content, encoding: str) -> Text:
    """The lines of bytes; `DataError` if they cannot be decoded, or hold nothing."""
    name, raw, compression = content
    decoded = decode(name, raw, encoding)
    refuse_nul(name, raw, decoded)
    text = decoded.text
    kept = numbered_lines(text)
    *ended, last = LINE_END.split(text.removeprefix(BYTE_ORDER_MARK))
    count = len(ended) + bool(last.strip())
    if not kept:
        raise DataError(f"{name}: no line holds anything, of {count}; at least 1 is needed")
    lines = tuple(line for _, line in kept)
    return Text(
        lines=lines,
        numbers=tuple(number for number, _ in kept),
        name=name,
        sha256=hashlib.sha256(raw).hexdigest(),
        blank=count - len(kept),
        duplicates=len(kept) - len(set(lines)),
        crlf=text.count("\r\n"),
        bom=text.startswith(BYTE_ORDER_MARK),
        encoding=decoded.encoding,
        compression=compression,
        mojibake=find_mojibake(lines),
    )


class Content(NamedTuple):
    """The bytes of a text, unpacked; `compression` is what they were compressed with."""

    name: str
    raw: bytes
    compression: str | None


def read_content(path: Path | None) -> Content:
    """The bytes of a file, of stdin for "-", or of what ships; `DataError` without any."""
    if path is None:
        return Content(BUILTIN, files(__package__).joinpath(BUILTIN).read_bytes(), None)
    # A name that is not UTF-8 is kept as it can be written into JSON.
    name = "stdin" if path == STDIN else path.name.encode(errors="backslashreplace").decode()
    return Content(name, *unpacked(name, read_bytes(path)))
