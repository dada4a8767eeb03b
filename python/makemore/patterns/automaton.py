"""A deterministic automaton over the tokens of a model, and what is made of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError
from makemore.once import lazy

MAX_STATES = 8_000
"""Most states of an automaton."""

MAX_TRANSITIONS = 2**24
"""Most transitions of an automaton, states times tokens: 64 MiB."""

UNREACHABLE = 2**30
"""What `TokenAutomaton.shortest` holds for a state that no acceptance is reached from."""

_BLOCK = 2**20
"""Numbers that are computed at once."""


@dataclass(frozen=True, eq=False)
class TokenAutomaton:
    """Which strings are wanted, read token by token. State 0 is the start.

    transitions: int32 (S, V), the state after one more token, -1 where no wanted string goes on so.
      Column 0, the stop token, is -1 and never read.
    accepting: bool (S,), whether the text so far is a wanted string as it stands. It may end there,
      by the stop token or by being cut at `max_length`.
    """

    transitions: NDArray[np.int32]
    accepting: NDArray[np.bool_]

    @classmethod
    def at_least(cls, length: int, vocab_size: int) -> TokenAutomaton:
        """All strings of at least `length` tokens: a chain. `OptionError` beyond the limits."""
        require_states(length + 1, vocab_size)
        after = np.minimum(np.arange(1, length + 2, dtype=np.int32), length)
        transitions = np.repeat(after[:, None], vocab_size, axis=1)
        transitions[:, 0] = -1
        return cls(transitions, np.arange(length + 1) == length)

    @lazy
    def shortest(self) -> NDArray[np.int32]:
        """(S,) fewest tokens from each state to an accepting one; `UNREACHABLE` where none is."""
        begins, ends = self._moves
        return _distances(ends, begins, self.accepting)

    @lazy
    def _moves(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where transitions begin and end (E,), each pair of states once."""
        states, vocab_size = self.transitions.shape
        begins, ends = [], []
        block = _BLOCK // max(states, vocab_size) + 1
        for first in range(0, states, block):
            after = self.transitions[first : first + block]
            follows = np.zeros((len(after), states + 1), dtype=np.bool_)  # The last is for -1.
            follows[np.arange(len(after))[:, None], after] = True
            rows, columns = np.nonzero(follows[:, :-1])
            begins.append(first + rows)
            ends.append(columns)
        return np.concatenate(begins), np.concatenate(ends)

    def trimmed(self) -> TokenAutomaton:
        """The same strings without transitions, or states, that lead to none of them.

        The start stays, even where there is no string at all; the order of states does too.
        """
        begins, ends = self._moves
        states = len(self.accepting)
        alive = self.shortest < UNREACHABLE
        lives = alive[ends]
        start = np.arange(states) == 0
        kept = _distances(begins[lives], ends[lives], start) < UNREACHABLE
        numbers = np.full(states + 1, -1, dtype=np.int32)  # The last is for -1.
        numbers[:-1] = np.where(kept & alive, np.cumsum(kept) - 1, -1)
        return TokenAutomaton(numbers[self.transitions[kept]], self.accepting[kept])

    def intersection(self, other: TokenAutomaton) -> TokenAutomaton:
        """The strings that both want, trimmed. `OptionError` beyond the limits."""
        size = len(other.accepting)

        def rows(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
            ours = self.transitions[pairs // size].astype(np.int64)  # (n, V)
            theirs = other.transitions[pairs % size]
            return np.where((ours < 0) | (theirs < 0), -1, ours * size + theirs)

        pairs, found = explore(0, rows, self.transitions.shape[1])
        accepting = self.accepting[pairs // size] & other.accepting[pairs % size]
        return TokenAutomaton(found, accepting).trimmed()

    def beginning_with(self, prefix: Sequence[int]) -> TokenAutomaton:
        """The strings that begin with the tokens `prefix`, at least one.

        The first `len(prefix)` states are a chain to the state that the whole is in after them.
        """
        states, vocab_size = self.transitions.shape
        length = len(prefix)
        require_states(states + length, vocab_size)
        chain = np.full((length, vocab_size), -1, dtype=np.int32)
        passed = [0]
        for at, token in enumerate(prefix):
            after = self.transitions[passed[-1], token]
            if after < 0:
                return TokenAutomaton(np.full_like(chain[:1], -1), np.zeros(1, dtype=np.bool_))
            passed.append(int(after))
            chain[at, token] = at + 1
        chain[-1, prefix[-1]] = length + passed[-1]
        whole = np.where(self.transitions < 0, -1, self.transitions + length)
        accepting = np.concatenate([np.zeros(length, dtype=np.bool_), self.accepting])
        return TokenAutomaton(np.concatenate([chain, whole.astype(np.int32)]), accepting).trimmed()

    def below(self, first: int) -> TokenAutomaton:
        """The strings of ids below `first`, trimmed."""
        return self.without(range(first, self.transitions.shape[1]))

    def without(self, tokens: Sequence[int], after: int = 0) -> TokenAutomaton:
        """The strings that hold none of `tokens`, trimmed; states below `after` are left alone."""
        if (self.transitions[after:, tokens] < 0).all():
            return self
        transitions = self.transitions.copy()
        transitions[after:, tokens] = -1
        return TokenAutomaton(transitions, self.accepting).trimmed()


def explore(
    start: int,
    rows: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    vocab_size: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Numbers what is reached from `start`, breadth first, and tabulates it.

    rows: gives (n, V) what follows each of n keys; a key is any number >= 0, -1 is dead. Returns
    the keys (S,), `start` first, and transitions (S, V). `OptionError` beyond the limits.
    """
    keys = [start]
    numbers = {start: 0}
    tables = []
    done = 0
    while done < len(keys):
        block = np.array(keys[done : done + _BLOCK // vocab_size + 1], dtype=np.int64)
        done += len(block)
        after = rows(block)
        found = np.unique(after)
        numbered = np.empty(len(found), dtype=np.int32)
        for at, key in enumerate(found.tolist()):
            if key >= 0 and key not in numbers:
                numbers[key] = len(keys)
                keys.append(key)
            numbered[at] = numbers.get(key, -1)
        require_states(len(keys), vocab_size)
        tables.append(numbered[np.searchsorted(found, after)])
    return np.array(keys, dtype=np.int64), np.concatenate(tables)


def _distances(
    begins: NDArray[np.int64], ends: NDArray[np.int64], reached: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """(S,) fewest moves to each state from those `reached` (S,); `UNREACHABLE` where none is."""
    distances = np.where(reached, 0, UNREACHABLE).astype(np.int32)
    for distance in range(1, len(reached)):
        after = np.zeros(len(reached), dtype=np.bool_)
        after[ends[reached[begins]]] = True
        reached = after & (distances == UNREACHABLE)
        if not reached.any():
            break
        distances[reached] = distance
    return distances


def require_states(states: int, vocab_size: int) -> None:
    """Raises `OptionError` for an automaton of too many states, or of too many transitions."""
    most = min(MAX_STATES, MAX_TRANSITIONS // vocab_size)
    if states > most:
        raise OptionError(
            f"it grows past {most:,} states, the limit for a model of {vocab_size:,} tokens"
        )
