"""Tokens that are words, and how lines are cut into them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError
from makemore.once import lazy
from makemore.token_bytes import TokenBytes
from makemore.vocabulary import Vocabulary

LINE_FEED = "\n"
"""The word that ends a line, in a text whose strings have several."""

WORDS = 5000
"""Most words of a `WordVocabulary` by default."""


class WordVocabulary(Vocabulary):
    """Words and punctuation marks, as `words` cuts them, and a last token for all others.

    That token, `unknown`, has a probability, so that any string can be scored, but is never made.
    Strings come back with every run of white space as one space, but for line ends that are among
    `tokens`. What a model makes may be cut
    otherwise when it is read again: nothing keeps it from a token without its space after a word.
    """

    level = "word"

    @classmethod
    def of(
        cls, strings: Iterable[str], size: int = WORDS, *, line_ends: bool = False
    ) -> WordVocabulary:
        """The up to `size` most frequent words of `strings`, in that order, equals sorted.

        With `line_ends` they are those of texts of several lines, and a line end is a word.
        """
        cut = (words(string, line_ends=line_ends) for string in strings)
        counts = Counter(chain.from_iterable(cut))
        return cls(sorted(counts, key=lambda word: (-counts[word], word))[:size])

    def __len__(self) -> int:
        """Number of tokens V, the unknown, the start and stop token and labels counted."""
        return len(self.tokens) + 2 + len(self.labels)

    @property
    def unknown(self) -> int:
        """The token that stands for every word that is not among `tokens`."""
        return len(self.tokens) + 1

    def encode(self, string: str) -> list[int]:
        """Ids of the words of a string, without start and stop."""
        return [self._ids.get(word, self.unknown) for word in self._words(string)]

    def prompt(self, prefix: str) -> list[int]:
        """Ids of the words of `prefix`, each of them whole; `OptionError` for an unknown one."""
        ids = self.encode(prefix)
        if self.unknown in ids:
            raise self._unknown(ids.index(self.unknown), prefix)
        return ids

    def mask(self, exclude: str = "") -> list[int]:
        """Ids that are never made: unknown, and each word of `exclude`, after a space or not.

        `OptionError` for a word that is known in neither form.
        """
        ids = [self.unknown]
        for at, word in enumerate(self._words(exclude)):
            bare = word.removeprefix(" ")
            found = [self._ids[form] for form in (bare, f" {bare}") if form in self._ids]
            if not found:
                raise self._unknown(at, exclude)
            ids += found
        return ids

    def texts(self) -> list[str | None]:
        """What each token adds to a string, (V,); None for a token that is never made."""
        return [None, *self.tokens, None, *("" for _ in self.labels)]

    def decode(self, ids: NDArray[np.integer], offsets: NDArray[np.int64]) -> list[str]:
        """Strings of n rows laid end to end: row i is `ids[offsets[i]:offsets[i + 1]]`.

        `ids` holds no start or stop; `offsets` has shape (n + 1,). Unknown is shown as U+FFFD.
        """
        ids, offsets = self.without_labels(ids, offsets)
        texts = ["", *self.tokens, " \ufffd"]
        texts_of_ids = [texts[i] for i in ids.tolist()]
        rows = pairwise(offsets.tolist())
        return ["".join(texts_of_ids[begin:end]).removeprefix(" ") for begin, end in rows]

    def utf8(
        self, ids: NDArray[np.integer], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """What `decode` gives as UTF-8, end to end (total,), and the offsets of each, (n + 1,)."""
        ids, offsets = self.without_labels(ids, offsets)
        ids = ids.copy()
        ids[offsets[:-1][offsets[:-1] < offsets[1:]]] += self.first_label
        return self._token_bytes.join(ids, offsets)

    @lazy
    def _token_bytes(self) -> TokenBytes:
        """Of each token, and then of each where it begins a string: without the space before it."""
        texts = ["", *self.tokens, " \ufffd"]
        return TokenBytes([*texts, *(text.removeprefix(" ") for text in texts)])

    def _words(self, string: str) -> list[str]:
        return words(string, line_ends=LINE_FEED in self._ids)

    def _unknown(self, at: int, string: str) -> OptionError:
        word = self._words(string)[at].strip()
        return OptionError(
            f"word {word!r} (number {at + 1} of {string!r}) is not among the "
            f"{len(self.tokens):,} words this model knows"
        )


def words(line: str, *, line_ends: bool = False) -> list[str]:
    r"""Cuts a line into words, in the manner of GPT-2 (Radford et al., 2019, section 2.2).

    A word is a run of letters, digits and underscores, with apostrophes inside, or one other
    character; what extends a character (Unicode Standard Annex #29, rule WB4: combining marks,
    joiners, emoji modifiers) stays with it. The space before a word is part of it, and a line
    begins after a space, so that joined words are the line again, white space run together.
    With `line_ends`, each \n of a text of several lines is a word, without a space after it.
    """
    lines = line.split(LINE_FEED) if line_ends else [line]
    return _pattern().findall(" " + LINE_FEED.join(" ".join(each.split()) for each in lines))


@cache
def _pattern() -> re.Pattern[str]:
    # The planes that hold marks; Python's \w leaves them out, and with them the vowels of Hindi.
    code_points = chain(range(0x300, 0x20000), range(0xE0100, 0xE01F0))
    marks = (c for c in map(chr, code_points) if unicodedata.category(c).startswith("M"))
    extend = "".join(marks) + "\u200c\u200d\U0001f3fb-\U0001f3ff"
    word = rf"\w[\w{extend}]*(?:['’]\w[\w{extend}]*)*"
    other = rf"[^\w\s](?:[{extend}]|(?<=\u200d)[^\w\s])*"
    return re.compile(rf" ?(?:{word}|{other})|{LINE_FEED}")
