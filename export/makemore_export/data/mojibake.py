"""UTF-8 that was read as latin-1 or Windows-1252: `Ã©` for `é`."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

_HIGH = "".join(chr(byte) for byte in range(0xC2, 0xF5))
_LOW = "".join(
    bytes([byte]).decode(encoding, "ignore")
    for byte in range(0x80, 0xC0)
    for encoding in ("latin-1", "cp1252")
)
_SUSPECT = re.compile(f"[{_HIGH}][{re.escape(_LOW)}]")


class Mojibake(msgspec.Struct, frozen=True):
    """How many lines look so, the first of them, and what it was meant to be."""

    lines: int
    example: str
    meant: str


def find_mojibake(lines: Iterable[str]) -> Mojibake | None:
    """The lines whose bytes in latin-1 or Windows-1252 are UTF-8, with more than ASCII in it."""
    found = [(line, meant) for line in lines if (meant := _meant(line)) is not None]
    return Mojibake(len(found), *found[0]) if found else None


def _meant(line: str) -> str | None:
    if not _SUSPECT.search(line):
        return None
    for encoding in ("latin-1", "cp1252"):
        try:
            return line.encode(encoding).decode()
        except UnicodeError:  # noqa: PERF203
            continue
    return None
