"""Fingerprints of the lines that a model was trained on: whether a string is one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from makemore.errors import ArtifactError

FINGERPRINTS_KEY = "makemore.lines"
"""Key of the fingerprints beside the metadata of an artifact."""

MAX_LINES = 1 << 27
"""Most lines whose fingerprints are read."""

_BYTES = 8


class Fingerprints:
    """64 bits of each line, BLAKE2b of its UTF-8 (RFC 7693), rising, as little-endian integers.

    A string that is not a line is taken for one with a probability of n / 2**64.
    """

    def __init__(self, sorted_prints: NDArray[np.uint64]) -> None:
        self._prints = sorted_prints

    @classmethod
    def of(cls, lines: Iterable[str]) -> Fingerprints:
        """Those of lines, equal ones once."""
        return cls(np.unique(_prints([*lines])))

    @classmethod
    def from_bytes(cls, data: bytes, source: str) -> Fingerprints:
        """What `to_bytes` gave; `ArtifactError` where it is not so."""
        if len(data) % _BYTES or len(data) // _BYTES > MAX_LINES:
            raise ArtifactError(
                f"{source}: the fingerprints are {len(data)} bytes; they must be {_BYTES} for each "
                f"of at most {MAX_LINES} lines"
            )
        prints = np.frombuffer(data, dtype="<u8").astype(np.uint64)
        if not (prints[:-1] < prints[1:]).all():
            raise ArtifactError(f"{source}: the fingerprints do not rise")
        return cls(prints)

    def to_bytes(self) -> bytes:
        """8 bytes for each line."""
        return self._prints.astype("<u8").tobytes()

    def __len__(self) -> int:
        return len(self._prints)

    def contains(self, strings: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each string is one of the lines, (n,)."""
        prints = _prints(strings)
        if not len(self._prints):
            return np.zeros(len(prints), dtype=bool)
        places = np.searchsorted(self._prints, prints)
        found: NDArray[np.bool_] = self._prints[np.minimum(places, len(self._prints) - 1)] == prints
        return found


def _prints(strings: Sequence[str]) -> NDArray[np.uint64]:
    digests = b"".join(
        blake2b(string.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()
        for string in strings
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
