"""Which contexts the strings of a text have, and the automaton that finds the longest known one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from makemore_export.data.encoded_strings import EncodedStrings

Ints = NDArray[np.int64]


class Events(NamedTuple):
    """Each token of the training strings, stops included: int64 (E,), string after string."""

    last: Ints  # the token before
    token: Ints
    age: Ints  # tokens since the start token; 0 where `last` is the start token

    @classmethod
    def of(cls, strings: EncodedStrings) -> Events:
        pairs = [
            torch.stack([inputs, targets])[:, targets >= 0].cpu().numpy()
            for inputs, targets in strings.batches()
        ]
        last, token = np.concatenate(pairs, axis=1)
        number = np.arange(len(last))
        return cls(last, token, number - np.maximum.accumulate(np.where(last == 0, number, 0)))


class Level(NamedTuple):
    """The known contexts of one length; their numbers follow those of the shorter ones."""

    first: int  # number of the first
    suffixes: Ints  # (contexts,) the number of each without its oldest token
    edges: Ints  # (contexts,) each without its newest token, times V, plus that token
    at: Ints  # (E,) that before each event; -1 where the string is too short for one

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self.suffixes))


def known_contexts(events: Events, vocab_size: int, longest: int) -> list[Level]:
    """The known contexts of 0 to `longest` tokens, by length."""
    shorter = Level(0, np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros_like(events.last))
    levels = [shorter]
    for length in range(1, longest + 1):
        here = np.flatnonzero(events.age >= length - 1)
        keys = shorter.at[here - 1] * vocab_size + events.last[here]
        edges, seen, numbers = np.unique(keys, return_index=True, return_inverse=True)
        at = np.full_like(events.last, -1)
        at[here] = numbers + shorter.rows.stop
        shorter = Level(shorter.rows.stop, shorter.at[here[seen]], edges, at)
        levels.append(shorter)
    return levels


def automaton(levels: list[Level], vocab_size: int) -> NDArray[np.int32]:
    """The longest known context after each but the longest ones and each token: (R * V,).

    That of Aho & Corasick (1975), algorithm 4: where a context has no known extension by a token,
    it goes where its suffix goes; the longest contexts have none, and go as their suffixes go.
    """
    *_, longest = levels
    table = np.zeros((longest.first, vocab_size), np.int32)
    for level in levels[1:]:
        table.reshape(-1)[level.edges] = np.arange(level.rows.start, level.rows.stop)
        if level is not longest:
            table[level.rows] = table[level.suffixes]
    return table.reshape(-1)
