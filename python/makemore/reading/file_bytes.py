"""The bytes of a file, or of standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from makemore.errors import DataError, OptionError

STDIN = Path("-")
"""The path that stands for standard input."""


_BLOCK = 1 << 20


def read_bytes(path: Path) -> bytes:
    """What a file holds, or stdin for "-"; `DataError` where it cannot be read."""
    return b"".join(read_blocks(path))


def read_blocks(path: Path) -> Iterator[bytes]:
    """The same, block by block."""
    if path != STDIN:
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    yield block
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        return
    if sys.stdin is None:
        raise OptionError("standard input is closed; name a file")
    while block := sys.stdin.buffer.read(_BLOCK):
        yield block
