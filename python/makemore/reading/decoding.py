"""Bytes as text: the encoding told by a byte order mark, and what is no text refused."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from makemore.errors import DataError
from makemore.reading.file_kinds import kind_of_file

UTF8 = "utf-8"

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Decoded(NamedTuple):
    """A text, and the encoding that it was read in."""

    text: str
    encoding: str


def decode(name: str, data: bytes, encoding: str = UTF8) -> Decoded:
    """Bytes of a file as text; `DataError` where they are none in that encoding.

    A byte order mark of UTF-16 or UTF-32, which UTF-8 cannot begin with, takes the place of UTF-8.
    """
    if b"\0" in data:
        _refuse_kind(name, data)
    if encoding.lower() in (UTF8, "utf8"):
        encoding = next((found for mark, found in _MARKS if data.startswith(mark)), encoding)
    try:
        return Decoded(data.decode(encoding), encoding)
    except LookupError:
        raise DataError(f"{encoding!r} is not an encoding of text; utf-8 is the default") from None
    except UnicodeDecodeError as error:
        _refuse_kind(name, data)
        raise DataError(
            f"{name}: byte {error.start} is not {encoding}: {error.reason}; "
            "name the file's own encoding with --encoding"
        ) from None
    except UnicodeError as error:  # of a codec that reads no bytes, such as "undefined"
        raise DataError(f"{name}: cannot be read as {encoding}: {error}") from None


def _refuse_kind(name: str, data: bytes) -> None:
    if kind := kind_of_file(data):
        raise DataError(f"{name}: is {kind}; a text is needed")


def refuse_nul(name: str, data: bytes, decoded: Decoded) -> None:
    """`DataError` for a text with a NUL, which no text has: it is binary, or in another encoding.

    data: the bytes of the text, which tell UTF-16 without a mark: every other one is 0.
    """
    if "\0" not in decoded.text:
        return
    cure = "a text is needed, or its own encoding with --encoding"
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if data[first::2].count(0) > len(data) // 4:
            cure = f"it looks like --encoding {encoding}"
    at = decoded.text.index("\0")
    raise DataError(
        f"{name}: character {at} is NUL: a binary file, or not {decoded.encoding}; {cure}"
    )
