"""The bytes of a file, or of standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from makemore.errors import DataError, OptionError

STDIN = Path("-")
"""The path that stands for standard input."""


def read_bytes(path: Path) -> bytes:
    """What a file holds, or stdin for "-"; `DataError` where it cannot be read."""
    if path != STDIN:
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if sys.stdin is None:
        raise OptionError("standard input is closed; name a file")
    return sys.stdin.buffer.read()
