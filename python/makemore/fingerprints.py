"""Fingerprints of the lines that a model was trained on: whether a string is one of them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from makemore.errors import ArtifactError
from makemore.once import Once

FINGERPRINTS_KEY = "makemore.lines"
"""Key of the fingerprints beside the metadata of an artifact."""

MAX_LINES = 1 << 23
"""Most lines whose fingerprints an artifact holds."""

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
        return cls(np.unique(_prints(lines)))

    @classmethod
    def from_text(cls, text: bytes, source: str) -> Fingerprints:
        """What `to_text` gave; `ArtifactError` where it is not so."""
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ArtifactError(f"{source}: the fingerprints are not base64: {error}") from None
        if len(data) % _BYTES or len(data) // _BYTES > MAX_LINES:
            raise ArtifactError(
                f"{source}: the fingerprints are {len(data)} bytes; they must be {_BYTES} for each "
                f"of at most {MAX_LINES} lines"
            )
        prints = np.frombuffer(data, dtype="<u8").astype(np.uint64)
        if not (prints[:-1] < prints[1:]).all():
            raise ArtifactError(f"{source}: the fingerprints do not rise")
        return cls(prints)

    def to_text(self) -> str:
        """In base64, `stored_bytes` of it."""
        return base64.b64encode(self._prints.astype("<u8").tobytes()).decode()

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


def stored_bytes(lines: int) -> int:
    """Bytes of the fingerprints of so many lines in a file: 8 for each, in base64."""
    return -(-_BYTES * lines // 3) * 4


class FingerprintReader:
    """Reads the fingerprints of an artifact when they are first asked for, once."""

    def __init__(self, read: Callable[[], bytes], source: str) -> None:
        """read: gives their text, empty where the artifact has none."""
        self._read = read
        self._source = source
        self._known = Once[Fingerprints | None]()

    def __call__(self) -> Fingerprints | None:
        """The fingerprints, or None; `ArtifactError` where they are none."""
        return self._known.get(self._open)

    def _open(self) -> Fingerprints | None:
        text = self._read()
        return Fingerprints.from_text(text, self._source) if text else None


def _prints(strings: Iterable[str]) -> NDArray[np.uint64]:
    encoded = (string.encode("utf-8", "surrogatepass") for string in strings)
    digests = (blake2b(each, digest_size=_BYTES).digest() for each in encoded)
    return np.fromiter((int.from_bytes(each, "little") for each in digests), np.uint64)
