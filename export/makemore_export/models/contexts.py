"""Which contexts the strings of a text have, and the automaton that finds the longest known one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from makemore_export.data.counting import Ints, count_distinct
from makemore_export.data.encoded_strings import EncodedStrings

_LARGEST = 1 << 63


class Events(NamedTuple):
    """What comes after what in the training strings, stops included: E different events.

    An event is a token and the `span` tokens before it, from the start token on.
    """

    before: Ints  # (span, E) the last one first; V for those before the start token
    token: Ints  # (E,)
    times: Ints  # (E,) how often it is in the strings

    @classmethod
    def of(cls, strings: EncodedStrings, span: int) -> Events:
        base = strings.vocab_size + 1
        if base ** (span + 1) > _LARGEST:  # a number cannot tell them apart: each on its own
            *before, token = np.concatenate([*_windows(strings, span)], axis=1)
            return cls(np.stack(before), token, np.ones_like(token))
        powers = base ** np.arange(span + 1)
        numbers, times = count_distinct(powers @ each for each in _windows(strings, span))
        *before, token = numbers // powers[:, None] % base
        return cls(np.stack(before), token, times)


def _windows(strings: EncodedStrings, span: int) -> Iterator[Ints]:
    """The tokens before each token of a batch, the last one first, then itself: (span + 1, E)."""
    for inputs, targets in strings.batches():
        padded = torch.nn.functional.pad(inputs, (span - 1, 0), value=strings.vocab_size)
        before = [*padded.unfold(1, inputs.shape[1], 1).unbind(1)][::-1]
        yield torch.stack([*before, targets])[:, targets >= 0].cpu().numpy()


class Level(NamedTuple):
    """The known contexts of one length; their numbers follow those of the shorter ones."""

    first: int  # number of the first
    suffixes: Ints  # (contexts,) the number of each without its oldest token
    edges: Ints  # (contexts,) each without its newest token, times V, plus that token, rising
    at: Ints  # (E,) that before each event; -1 where the string is too short for one

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self.suffixes))


def known_contexts(events: Events, vocab_size: int, longest: int) -> list[Level]:
    """The known contexts of 0 to `longest` tokens, by length."""
    ending = [np.zeros_like(events.token)] * (longest + 1)  # those that end so many tokens before
    levels = [Level(0, np.zeros(1, np.int64), np.zeros(0, np.int64), ending[0])]
    for length in range(1, longest + 1):
        first = levels[-1].rows.stop
        reaching = events.before[length - 1 : longest] < vocab_size  # that have their oldest token
        keys = [
            ending[back + 1][there] * vocab_size + events.before[back, there]
            for back, there in enumerate(reaching)
        ]
        edges, seen = np.unique(keys[0], return_index=True)
        suffixes = ending[0][reaching[0]][seen]
        ending = [np.full_like(events.token, -1) for _ in keys]
        for each, there, key in zip(ending, reaching, keys, strict=True):
            each[there] = first + np.searchsorted(edges, key)
        levels.append(Level(first, suffixes, edges, ending[0]))
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
