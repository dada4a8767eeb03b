"""Bytes as text: the encoding told by a byte order mark, and what is no text refused."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from makemore.errors import DataError
from makemore.reading.compression import compression_of
from makemore.reading.file_kinds import kind_of_file

UTF8 = "utf-8"
_UTF8 = (UTF8, "utf8")

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


_PIECE = 1 << 20  # bytes


class Decoded(NamedTuple):
    """A text, and the encoding that it was read in."""

    text: str
    encoding: str


def decode_pieces(
    name: str, data: bytes | memoryview, encoding: str = UTF8, *, piece: int = _PIECE
) -> Iterator[Decoded]:
    """What `decode` makes of `data`, in pieces of about `piece` bytes, of which none is NUL.

    A piece but the last ends with a line feed. What is not UTF-8 is one piece.
    """
    head = bytes(data[:piece])
    encoding = _encoding(head, encoding)
    begin = characters = 0
    while begin < len(data) or not begin:
        end = _after_line_feed(data, begin, piece) if encoding in _UTF8 else len(data)
        part = bytes(data[begin:end])
        decoded = Decoded(_text(name, part, encoding, begin, head), encoding)
        refuse_nul(name, part, decoded, characters)
        yield decoded
        characters += len(decoded.text)
        begin = max(end, 1)


def _after_line_feed(data: bytes | memoryview, begin: int, piece: int) -> int:
    """The end of the last line that ends within so many bytes, else within more."""
    while begin + piece < len(data):
        if (found := bytes(data[begin : begin + piece]).rfind(b"\n")) >= 0:
            return begin + found + 1
        piece *= 2
    return len(data)


def decode(name: str, data: bytes, encoding: str = UTF8) -> Decoded:
    """Bytes of a file as text; `DataError` where they are none in that encoding.

    A byte order mark of UTF-16 or UTF-32, which UTF-8 cannot begin with, takes the place of UTF-8.
    """
    encoding = _encoding(data, encoding)
    return Decoded(_text(name, data, encoding, 0, data), encoding)


def _encoding(data: bytes, encoding: str) -> str:
    if encoding.lower() not in _UTF8:
        return encoding
    return next((found for mark, found in _MARKS if data.startswith(mark)), UTF8)


def _text(name: str, data: bytes, encoding: str, begin: int, head: bytes) -> str:
    """data: bytes of a file from number `begin` on. head: its first bytes, which tell its kind."""
    if b"\0" in data:
        _refuse_kind(name, head)
    try:
        return data.decode(encoding)
    except LookupError:
        raise DataError(f"{encoding!r} is not an encoding of text; utf-8 is the default") from None
    except UnicodeDecodeError as error:
        _refuse_kind(name, head)
        raise DataError(
            f"{name}: byte {begin + error.start} is not {encoding}: {error.reason}; "
            "name the file's own encoding with --encoding"
        ) from None
    except UnicodeError as error:  # of a codec that reads no bytes, such as "undefined"
        raise DataError(f"{name}: cannot be read as {encoding}: {error}") from None


def _refuse_kind(name: str, data: bytes) -> None:
    if kind := kind_of_file(data):
        raise DataError(f"{name}: is {kind}; a text is needed")
    if packed := compression_of(data):
        raise DataError(f"{name}: is {packed.name} once it is unpacked: unpack both first")


def refuse_nul(name: str, data: bytes, decoded: Decoded, before: int = 0) -> None:
    """`DataError` for a text with a NUL, which no text has: it is binary, or in another encoding.

    data: the bytes of the text, which tell UTF-16 without a mark: every other one is 0.
    before: the characters of the file before this text.
    """
    if "\0" not in decoded.text:
        return
    cure = "a text is needed, or its own encoding with --encoding"
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if data[first::2].count(0) > len(data) // 4:
            cure = f"it looks like --encoding {encoding}"
    at = before + decoded.text.index("\0")
    raise DataError(
        f"{name}: character {at} is NUL: a binary file, or not {decoded.encoding}; {cure}"
    )
