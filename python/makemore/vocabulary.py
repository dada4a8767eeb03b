"""Tokens that are characters or words, and the numbers that stand for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore.errors import OptionError
from makemore.limits import shown
from makemore.once import lazy
from makemore.token_bytes import TokenBytes

LABEL_END = "\t"
"""What is between the label and the rest of a line of a training text."""

STOP = 0
"""The token that starts and stops every string."""

Level = Literal["character", "word", "token"]


class Vocabulary:
    """The tokens of a model: token 0 starts and stops a string, token i > 0 is `tokens[i - 1]`.

    The last ids are those of labels, if there are any: every string begins with one, which is no
    part of its text.

    Here a token is a character, one Unicode code point; those of a `WordVocabulary` are words,
    those of a `TokenVocabulary` any texts.
    """

    level: ClassVar[Level] = "character"

    def __init__(self, tokens: Sequence[str], labels: Sequence[str] = ()) -> None:
        self.tokens = tuple(tokens)
        self.labels = tuple(labels)
        self._ids = {token: i for i, token in enumerate(self.tokens, start=1)}

    @classmethod
    def of(cls, strings: Iterable[str]) -> Vocabulary:
        """The sorted distinct characters of `strings`."""
        return cls(sorted(set(chain.from_iterable(strings))))

    def __len__(self) -> int:
        """Number of tokens V, the start and stop token and labels counted."""
        return len(self.tokens) + 1 + len(self.labels)

    @property
    def first_label(self) -> int:
        """The id of the first label; V where there is none."""
        return len(self) - len(self.labels)

    def label_id(self, label: str) -> int:
        """The id of a label; `OptionError` for one that the model does not have."""
        if label in self.labels:
            return self.first_label + self.labels.index(label)
        known = f"it has {', '.join(map(repr, self.labels))}" if self.labels else "it has none"
        raise OptionError(f"label {shown(label)} is none of this model's: {known}")

    def encode_line(self, line: str) -> list[int]:
        """Ids of a line of a training text, which begins with a label and a tab if there are
        labels.
        """
        if not self.labels:
            return self.encode(line)
        label, _, string = line.partition(LABEL_END)
        return [self.label_id(label), *self.encode(string)]

    def encode(self, string: str) -> list[int]:
        """Ids of a string, without start and stop; `OptionError` for a character never seen."""
        try:
            return [self._ids[character] for character in string]
        except KeyError:
            at, character = next((i, c) for i, c in enumerate(string) if c not in self._ids)
            raise OptionError(
                f"character {character!r} (number {at + 1} of {string!r}) is not among the "
                f"{len(self.tokens)} characters this model knows: {self._shown()}"
            ) from None

    def prompt(self, prefix: str) -> list[int]:
        """Ids that a string may begin with; `OptionError` for what the model does not know."""
        return self.encode(prefix)

    def mask(self, exclude: str = "") -> list[int]:
        """Ids that are never made: those of `exclude`; `OptionError` for what is not known."""
        return self.encode(exclude)

    def texts(self) -> list[str | None]:
        """What each token adds to a string, (V,); None for a token that is never made."""
        return [None, *self.tokens, *("" for _ in self.labels)]

    def decode(self, ids: NDArray[np.integer], offsets: NDArray[np.int64]) -> list[str]:
        """Strings of n rows laid end to end: row i is `ids[offsets[i]:offsets[i + 1]]`.

        `ids` holds no start or stop; `offsets` has shape (n + 1,).
        """
        return _core.texts(*self.without_labels(ids, offsets), self._code_points)

    def texts_of(self, strings: _core.Strings) -> list[str]:
        """The same of strings that were just made."""
        if self.code_points is None:
            return self.decode(strings.ids, strings.offsets)
        return strings.texts(self.code_points)

    def utf8(
        self, ids: NDArray[np.integer], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """What `decode` gives as UTF-8, end to end (total,), and the offsets of each, (n + 1,)."""
        return self._token_bytes.join(*self.without_labels(ids, offsets))

    def without_labels(
        self, ids: NDArray[np.integer], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
        """The same rows without the ids of labels."""
        if not self.labels:
            return ids, offsets
        kept = ids < self.first_label
        before = np.concatenate([[0], np.cumsum(kept)])  # of the kept ones, those before each place
        return ids[kept], before[offsets]

    @lazy
    def code_points(self) -> NDArray[np.uint32] | None:
        """The character that each token adds, (V,); None where it may be none, or several."""
        return None if self.labels or self.level != "character" else self._code_points

    @lazy
    def _code_points(self) -> NDArray[np.uint32]:
        return np.array([0, *map(ord, self.tokens)], dtype=np.uint32)  # (V,)

    @lazy
    def _token_bytes(self) -> TokenBytes:
        return TokenBytes([text or "" for text in self.texts()])

    def _shown(self) -> str:
        shown = "".join(self.tokens[:64])
        return repr(shown) + (" ..." if len(self.tokens) > 64 else "")
