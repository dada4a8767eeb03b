"""The texts of a model's tokens, and how they move an automaton over characters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from makemore.patterns.automaton import TokenAutomaton, explore
from makemore.patterns.positions import CharacterAutomaton
from makemore.vocabulary import Vocabulary


class TokenTexts:
    """The text that each token adds to a string: as the first token, and as a later one.

    Words lose the space before them at the start. Both are found by decoding, so that what a
    vocabulary does when it decodes is what patterns are matched against.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocab_size = len(vocabulary)
        self.never = vocabulary.mask()
        """Ids that are never made, whatever is asked for."""
        ids = np.arange(1, self.vocab_size)
        self.first = vocabulary.decode(ids, np.arange(self.vocab_size))
        pairs = np.stack([np.ones_like(ids), ids], axis=1).reshape(-1)
        both = vocabulary.decode(pairs, 2 * np.arange(self.vocab_size))
        self.later = [text[len(self.first[0]) :] for text in both]

    def characters(self, excluded: Sequence[int] = ()) -> str:
        """The characters of tokens that are made and not excluded, sorted."""
        made = set(range(1, self.vocab_size)) - {*self.never, *excluded}
        texts = (text for i in made for text in (self.first[i - 1], self.later[i - 1]))
        return "".join(sorted(set("".join(texts))))

    def automaton(self, over: CharacterAutomaton, characters: str) -> TokenAutomaton:
        """The trimmed automaton over tokens that follows one over `characters`.

        `OptionError` beyond the limits of an automaton.
        """
        dead = len(over.accepting) - 1
        # Where texts differ at the start, the start is a state of its own, with the dead one's key.
        start = dead if self.first != self.later else 0
        # Other characters, of tokens that are never made, have one more column.
        table = np.pad(over.transitions, ((0, 0), (0, 1)), constant_values=dead)
        first = _Walk(table, self.first, characters)
        later = _Walk(table, self.later, characters)

        def rows(states: NDArray[np.int64]) -> NDArray[np.int64]:
            after = np.full((len(states), self.vocab_size), dead, dtype=np.int64)
            at_start = states == dead
            if at_start.any():
                after[at_start, 1:] = first(np.zeros(1, dtype=np.int64))
            after[~at_start, 1:] = later(states[~at_start])
            after[:, self.never] = dead
            after[after == dead] = -1
            return after

        states, transitions = explore(start, rows, self.vocab_size)
        return TokenAutomaton(transitions, over.accepting[states * (states != dead)]).trimmed()


class _Walk:
    """Moves states over whole texts, a character of all texts at a time."""

    def __init__(self, table: NDArray[np.int32], texts: Sequence[str], characters: str) -> None:
        """table: (S, C + 1) what follows a state and each of C characters, or any other."""
        self.table = table
        # Longest first: those that have a character j are the first ones.
        self.order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        column_of = {character: column for column, character in enumerate(characters)}
        other = len(characters)
        rows = [[column_of.get(c, other) for c in texts[i]] for i in self.order]
        longest = len(rows[0]) if rows else 0
        self.columns = []
        for j in range(longest):
            while len(rows[-1]) <= j:
                rows.pop()
            self.columns.append(np.array([row[j] for row in rows]))

    def __call__(self, states: NDArray[np.int64]) -> NDArray[np.int32]:
        """(n, texts) the states after each of n states and each text."""
        now = np.repeat(states.astype(np.int32)[:, None], len(self.order), axis=1)
        for columns in self.columns:
            now[:, : len(columns)] = self.table[now[:, : len(columns)], columns]
        after = np.empty_like(now)
        after[:, self.order] = now
        return after
