"""UTF-8 that was read as latin-1 or Windows-1252: `Ã©` for `é`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain

import msgspec

from makemore_export.data.lines import END, Lines

_HIGH = "".join(chr(byte) for byte in range(0xC2, 0xF5))
_LOW = "".join(
    bytes([byte]).decode(encoding, "ignore")
    for byte in range(0x80, 0xC0)
    for encoding in ("latin-1", "cp1252")
)
_SUSPECT = re.compile(f"[{_HIGH}][{re.escape(_LOW)}]")
_WHITE_SPACE = re.compile(r"\s+", re.ASCII)


class Mojibake(msgspec.Struct, frozen=True):
    """How many lines look so, the first word that does, and what it was meant to be."""

    lines: int
    example: str
    meant: str


def find_mojibake(lines: Iterable[str]) -> Mojibake | None:
    """The lines whose bytes in latin-1 or Windows-1252 are UTF-8, with more than ASCII in it."""
    count, first = 0, None
    suspect = (block for block in Lines.of(lines).blocks() if _SUSPECT.search(block))
    for line in chain.from_iterable(block.split(END) for block in suspect):
        if (meant := _meant(line)) is not None:
            count, first = count + 1, first or (line, meant)
    if first is None:
        return None
    # White space of ASCII is the same in all these encodings, so the words are those of both.
    words = zip(*(_WHITE_SPACE.split(text) for text in first), strict=True)
    return Mojibake(count, *next(pair for pair in words if pair[0] != pair[1]))


def _meant(line: str) -> str | None:
    if not _SUSPECT.search(line):
        return None
    for encoding in ("latin-1", "cp1252"):
        try:
            return line.encode(encoding).decode()
        except UnicodeError:  # noqa: PERF203
            continue
    return None
