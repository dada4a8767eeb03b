"""A text file, one thing per line."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import msgspec
from makemore.errors import DataError

BUILTIN = "us-names-2018.txt"
"""The data set that ships with the package; `README.md` has its provenance."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of a file that hold something, and what was met on the way.

    `numbers[i]` is the line number of `lines[i]` in the file, from 1; `sha256` is of the file's
    bytes; `duplicates` counts the lines equal to an earlier one, `crlf` the line ends of Windows.
    """

    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    name: str
    sha256: str
    blank: int
    duplicates: int
    crlf: int
    bom: bool


def read_text(path: Path | None = None, encoding: str = "utf-8") -> Text:
    r"""Reads one thing per line; without `path`, the data set that ships.

    Lines end with \n, \r\n or \r, nothing else; white space at both ends of a line is dropped, and
    so are blank lines and a byte order mark. `DataError` if the file cannot be read or decoded, or
    holds nothing.
    """
    name, raw = _read_bytes(path)
    text = _decode(name, raw, encoding)
    bom = text.startswith("\ufeff")
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))]
    if not lines[-1]:
        lines.pop()  # what follows the last line end is not a line
    kept = [(number, line) for number, line in enumerate(lines, start=1) if line]
    if not kept:
        raise DataError(f"{name}: no line holds anything, of {len(lines)}; at least 1 is needed")
    return Text(
        lines=tuple(line for _, line in kept),
        numbers=tuple(number for number, _ in kept),
        name=name,
        sha256=hashlib.sha256(raw).hexdigest(),
        blank=len(lines) - len(kept),
        duplicates=len(kept) - len({line for _, line in kept}),
        crlf=text.count("\r\n"),
        bom=bom,
    )


def _read_bytes(path: Path | None) -> tuple[str, bytes]:
    if path is None:
        return BUILTIN, files(__package__).joinpath(BUILTIN).read_bytes()
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the text: {error.strerror}") from None


def _decode(name: str, raw: bytes, encoding: str) -> str:
    try:
        text = raw.decode(encoding)
    except LookupError:
        raise DataError(f"{encoding!r} is not an encoding of text; utf-8 is the default") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: byte {error.start} is not {encoding}: {error.reason}; "
            "name the file's own encoding with --encoding"
        ) from None
    if "\0" in text:
        raise DataError(
            f"{name}: character {text.index(chr(0))} is NUL: a binary file, or not {encoding}; "
            "a text is needed, or its own encoding with --encoding"
        )
    return text
