"""Tokens that are characters or words, and the numbers that stand for them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from itertools import chain, pairwise
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore.errors import OptionError
from makemore.limits import shown
from makemore.token_bytes import TokenBytes

LABEL_END = "\t"
"""What is between the label and the rest of a line of a training text."""

LINE_FEED = "\n"
"""The word that ends a line, in a text whose strings have several."""

STOP = 0
"""The token that starts and stops every string."""

WORDS = 5000
"""Most words of a `WordVocabulary` by default."""

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

    @cached_property
    def code_points(self) -> NDArray[np.uint32] | None:
        """The character that each token adds, (V,); None where it may be none, or several."""
        return None if self.labels or self.level != "character" else self._code_points

    @cached_property
    def _code_points(self) -> NDArray[np.uint32]:
        return np.array([0, *map(ord, self.tokens)], dtype=np.uint32)  # (V,)

    @cached_property
    def _token_bytes(self) -> TokenBytes:
        return TokenBytes([text or "" for text in self.texts()])

    def _shown(self) -> str:
        shown = "".join(self.tokens[:64])
        return repr(shown) + (" ..." if len(self.tokens) > 64 else "")


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

    @cached_property
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
