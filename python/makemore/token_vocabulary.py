"""Tokens of any length, the rule that cuts a line into them, and the vocabularies of all levels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError
from makemore.limits import shown
from makemore.once import lazy
from makemore.patterns import compile_characters
from makemore.vocabulary import Level, Vocabulary
from makemore.word_vocabulary import WordVocabulary

Cut = Callable[[str], Callable[[int], int]]
"""Of a string, where the token that begins at a place ends; that place itself where none does."""


class TokenVocabulary(Vocabulary):
    """Tokens of one or more characters: atoms of molecules, syllables, letters with their marks.

    A string is cut from left to right: with `split_pattern`, a regular expression as `matching`
    takes it, into the longest texts that match it, else into the longest tokens. That is the
    canonical cut, which `encode` gives and `score` scores. A model may make the same text in other
    cuts too.
    """

    level = "token"

    def __init__(
        self,
        tokens: Sequence[str],
        split_pattern: str | None = None,
        labels: Sequence[str] = (),
    ) -> None:
        super().__init__(tokens, labels)
        self.split_pattern = split_pattern

    @classmethod
    def split_by(cls, lines: Sequence[str], split_pattern: str) -> TokenVocabulary:
        """The sorted distinct tokens that a pattern cuts `lines` into; `OptionError` where it cuts
        one of them not to its end.
        """
        cut = _by_pattern(split_pattern, set(chain.from_iterable(lines)))
        found = {token for line in lines for token in _pieces(line, cut)}
        return cls(sorted(found), split_pattern)

    def encode(self, string: str) -> list[int]:
        """Ids of the canonical cut of a string; `OptionError` where it cannot be cut, or for a
        token never seen.
        """
        pieces = _pieces(string, self._cut)
        try:
            return [self._ids[piece] for piece in pieces]
        except KeyError:
            piece = next(piece for piece in pieces if piece not in self._ids)
            raise OptionError(
                f"token {shown(piece)} of {shown(string)} is not among the "
                f"{len(self.tokens):,} tokens this model knows"
            ) from None

    def decode(self, ids: NDArray[np.integer], offsets: NDArray[np.int64]) -> list[str]:
        """Strings of n rows laid end to end: row i is `ids[offsets[i]:offsets[i + 1]]`.

        `ids` holds no start or stop; `offsets` has shape (n + 1,).
        """
        ids, offsets = self.without_labels(ids, offsets)
        texts = ["", *self.tokens]
        texts_of_ids = [texts[i] for i in ids.tolist()]
        return ["".join(texts_of_ids[begin:end]) for begin, end in pairwise(offsets.tolist())]

    @lazy
    def _cut(self) -> Cut:
        if self.split_pattern is not None:
            return _by_pattern(self.split_pattern, set(chain.from_iterable(self.tokens)))
        return _by_longest(self.tokens)


def _pieces(string: str, cut: Cut) -> list[str]:
    pieces = []
    at = 0
    end_of = cut(string)
    while at < len(string):
        end = end_of(at)
        if end == at:
            raise OptionError(
                f"{shown(string)} cannot be cut into tokens: none begins at character {at + 1}, "
                f"{string[at]!r}"
            )
        pieces.append(string[at:end])
        at = end
    return pieces


def _by_longest(tokens: Sequence[str]) -> Cut:
    known = set(tokens)
    lengths = sorted({len(token) for token in tokens}, reverse=True)

    def cut(string: str) -> Callable[[int], int]:
        return lambda at: next((at + n for n in lengths if string[at : at + n] in known), at)

    return cut


def _by_pattern(split_pattern: str, characters: Iterable[str]) -> Cut:
    """The longest match of an automaton, in time that grows with the string as its length does.

    Reps (1998), "Maximal-munch" tokenization in linear time, section 3: what was read past the end
    of a token in vain is remembered, and not read again.
    """
    known = "".join(sorted(characters))
    try:
        automaton = compile_characters(split_pattern, known)
    except OptionError as error:
        raise OptionError(f"split_pattern is {shown(split_pattern)}; {error}") from None
    columns = {character: i for i, character in enumerate(known)}
    table, accepting = automaton.transitions.tolist(), automaton.accepting.tolist()
    dead = len(accepting) - 1

    def cut(string: str) -> Callable[[int], int]:
        vain: set[tuple[int, int]] = set()  # places and states that no match follows

        def end_of(at: int) -> int:
            end, state = at, 0
            passed = []
            for i in range(at, len(string)):
                column = columns.get(string[i])
                state = dead if column is None else table[state][column]
                if state == dead or (i, state) in vain:
                    break
                passed.append((i, state))
                if accepting[state]:
                    end = i + 1
                    passed.clear()
            vain.update(passed)
            return end

        return end_of

    return cut


LEVELS: tuple[Level, ...] = ("character", "word", "token")


def new_vocabulary(
    level: Level,
    tokens: Sequence[str],
    split_pattern: str | None = None,
    labels: Sequence[str] = (),
) -> Vocabulary:
    """The vocabulary of a level; only that of tokens has a pattern that cuts."""
    if level == "token":
        return TokenVocabulary(tokens, split_pattern, labels)
    return (WordVocabulary if level == "word" else Vocabulary)(tokens, labels)
