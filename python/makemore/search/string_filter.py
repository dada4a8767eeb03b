"""Which strings pass: what the core can tell from a prefix, and what only a whole string tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore.errors import OptionError
from makemore.fingerprints import Fingerprints
from makemore.options import FilterOptions
from makemore.patterns import TokenAutomaton, compile_filter
from makemore.vocabulary import Vocabulary

_MAX_COMPILED = 64


class Compiled(NamedTuple):
    """An automaton over tokens, and the same for the core."""

    automaton: TokenAutomaton
    row_filter: _core.RowFilter


class FilterCache:
    """The automata of the options that were asked for lately."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._compiled: dict[tuple[object, ...], Compiled | None] = {}

    def get(self, options: FilterOptions, prompt: list[int], max_length: int) -> Compiled | None:
        """None where every string passes; `prompt`: the ids of the prefix.

        `OptionError` for a pattern that is none, or where no string can pass.
        """
        key = (
            options.min_length,
            options.matching,
            options.wildcard,
            options.suffix,
            options.prefix,
            options.exclude,
            max_length,
        )
        try:
            return self._compiled[key]
        except KeyError:
            compiled = self._compile(options, prompt, max_length)
        if len(self._compiled) >= _MAX_COMPILED:
            self._compiled = {}
        self._compiled[key] = compiled
        return compiled

    def _compile(
        self, options: FilterOptions, prompt: list[int], max_length: int
    ) -> Compiled | None:
        automaton = compile_filter(
            self._vocabulary,
            matching=options.matching,
            wildcard=options.wildcard,
            suffix=options.suffix,
            min_length=options.min_length,
            max_length=max_length,
            excluded=self._vocabulary.mask(options.exclude),
            prefix=prompt,
        )
        if automaton is None:
            return None
        row_filter = _core.RowFilter(
            automaton.transitions, automaton.accepting, len(self._vocabulary)
        )
        return Compiled(automaton, row_filter)


@dataclass(frozen=True)
class TextFilter:
    """What only a whole string tells: that it is not in a collection, nor a line of training."""

    options: FilterOptions
    fingerprints: Fingerprints | None

    def passing(self, texts: Sequence[str]) -> NDArray[np.intp]:
        """The numbers of the strings that pass, rising."""
        passes = np.ones(len(texts), dtype=bool)
        if self.fingerprints is not None:
            passes &= ~self.fingerprints.contains(texts)
        not_in = self.options.not_in
        if not_in is not None:
            passes &= [text not in not_in for text in texts]
        return np.flatnonzero(passes)


def text_filter(
    options: FilterOptions, fingerprints: Callable[[], Fingerprints | None]
) -> TextFilter | None:
    """None where every string passes. `OptionError` for `novel` where nothing is known of the
    training text.
    """
    known = fingerprints() if options.novel else None
    if options.novel and known is None:
        raise OptionError(
            "novel is True; the artifact has no fingerprints of its training lines: export it "
            "without --no-fingerprints"
        )
    if known is None and options.not_in is None:
        return None
    return TextFilter(options, known)
