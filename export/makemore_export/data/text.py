"""A text file, one thing per line."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import msgspec
from makemore.errors import DataError
from makemore.text import BYTE_ORDER_MARK, LINE_END, numbered_lines

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
    """Reads one thing per line, as `numbered_lines` cuts them; without `path`, what ships.

    `DataError` if the file cannot be read or decoded, or holds nothing.
    """
    name, raw = _read_bytes(path)
    text = _decode(name, raw, encoding)
    kept = numbered_lines(text)
    *ended, last = LINE_END.split(text.removeprefix(BYTE_ORDER_MARK))
    count = len(ended) + bool(last.strip())
    if not kept:
        raise DataError(f"{name}: no line holds anything, of {count}; at least 1 is needed")
    return Text(
        lines=tuple(line for _, line in kept),
        numbers=tuple(number for number, _ in kept),
        name=name,
        sha256=hashlib.sha256(raw).hexdigest(),
        blank=count - len(kept),
        duplicates=len(kept) - len({line for _, line in kept}),
        crlf=text.count("\r\n"),
        bom=text.startswith(BYTE_ORDER_MARK),
    )


def _read_bytes(path: Path | None) -> tuple[str, bytes]:
    if path is None:
        return BUILTIN, files(__package__).joinpath(BUILTIN).read_bytes()
    try:
        # A name that is not UTF-8 is kept as it can be written into JSON.
        return path.name.encode(errors="backslashreplace").decode(), path.read_bytes()
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
    except UnicodeError as error:  # of a codec that reads no bytes, such as "undefined"
        raise DataError(f"{name}: cannot be read as {encoding}: {error}") from None
    if "\0" in text:
        raise DataError(
            f"{name}: character {text.index(chr(0))} is NUL: a binary file, or not {encoding}; "
            "a text is needed, or its own encoding with --encoding"
        )
    return text
