"""Strings of tokens as UTF-8, without a Python object for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class TokenBytes:
    """What each token adds to a string, in UTF-8."""

    def __init__(self, texts: Sequence[str]) -> None:
        """texts: of each token, (V,)."""
        encoded = [text.encode() for text in texts]
        self._bytes = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        self._lengths = np.array([*map(len, encoded)], dtype=np.int64)  # (V,)
        self._begins = np.cumsum(self._lengths) - self._lengths
        self._one_byte_each = bool((self._lengths[1:] == 1).all())  # id 0 is in no string

    def join(
        self, ids: NDArray[np.integer], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """UTF-8 (total,) of n strings laid end to end, and where each begins and ends, (n + 1,).

        String i is `ids[offsets[i]:offsets[i + 1]]`.
        """
        begins = self._begins[ids]
        if self._one_byte_each:
            return self._bytes[begins], offsets
        lengths = self._lengths[ids]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        at = np.repeat(begins - ends[:-1], lengths) + np.arange(ends[-1])
        return self._bytes[at], ends[offsets]
