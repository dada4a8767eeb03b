"""Characters and the numbers that stand for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError

STOP = 0
"""The token that starts and stops every string."""


class Vocabulary:
    """The tokens of a model: token 0 starts and stops a string, token i > 0 is `characters[i - 1]`.

    A character is one Unicode code point.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        self.characters = tuple(characters)
        self._ids = {character: i for i, character in enumerate(self.characters, start=1)}
        code_points = [0, *(ord(character) for character in self.characters)]
        self._code_points = np.array(code_points, dtype="<u4")  # (V,)

    @classmethod
    def of(cls, strings: Iterable[str]) -> Vocabulary:
        """The sorted distinct characters of `strings`."""
        return cls(sorted(set(chain.from_iterable(strings))))

    def __len__(self) -> int:
        """Number of tokens, the start and stop token counted."""
        return len(self.characters) + 1

    def encode(self, string: str) -> list[int]:
        """Ids of a string, without start and stop; `OptionError` for a character never seen."""
        try:
            return [self._ids[character] for character in string]
        except KeyError:
            at, character = next((i, c) for i, c in enumerate(string) if c not in self._ids)
            raise OptionError(
                f"character {character!r} (number {at + 1} of {string!r}) is not among the "
                f"{len(self.characters)} characters this model knows: {self._shown()}"
            ) from None

    def decode(self, ids: NDArray[np.int64], offsets: NDArray[np.int64]) -> list[str]:
        """Strings of n rows laid end to end: row i is `ids[offsets[i]:offsets[i + 1]]`.

        `ids` holds no start or stop; `offsets` has shape (n + 1,).
        """
        text = self._code_points[ids].tobytes().decode("utf-32-le")
        return [text[begin:end] for begin, end in pairwise(offsets.tolist())]

    def _shown(self) -> str:
        shown = "".join(self.characters[:64])
        return repr(shown) + (" ..." if len(self.characters) > 64 else "")
