"""Deterministic automata over the tokens of a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError

DEAD = -1
"""The state after which no string passes."""

MAX_STATES = 10_000
MAX_CELLS = 1 << 24
"""Most states, and most transitions, of an automaton."""

NEVER = np.iinfo(np.int64).max

State = TypeVar("State", bound=Hashable)


class TooManyStatesError(Exception):
    """An automaton grows past the limit."""

    def __init__(self, tokens: int) -> None:
        super().__init__(f"it needs more than {state_limit(tokens):,} states, the limit")


def state_limit(tokens: int) -> int:
    """Most states of an automaton over so many tokens."""
    return min(MAX_STATES, MAX_CELLS // tokens)


@dataclass(frozen=True, eq=False)
class TokenAutomaton:
    """Reads strings token by token from state 0.

    transitions: (S, V) int32, the state after each token, or `DEAD`; column 0, the stop token, is
    not read. accepting: (S,) bool, whether a string passes that ends there.
    """

    transitions: NDArray[np.int32]
    accepting: NDArray[np.bool_]

    @cached_property
    def shortest(self) -> NDArray[np.int64]:
        """(S,) fewest tokens to an accepting state; `NEVER` where none is reached."""
        distance = np.where(self.accepting, 0, NEVER)
        live = self.transitions[:, 1:]
        for steps in range(1, len(distance) + 1):
            reaches = (np.where(live >= 0, distance[live], NEVER) == steps - 1).any(axis=1)
            new = reaches & (distance == NEVER)
            if not new.any():
                break
            distance[new] = steps
        return distance

    def __and__(self, other: TokenAutomaton) -> TokenAutomaton:
        """What both let pass. `TooManyStatesError`."""

        def row(pair: tuple[int, int]) -> list[tuple[int, int] | None]:
            one, two = self.transitions[pair[0]], other.transitions[pair[1]]
            alive = (one >= 0) & (two >= 0)
            pairs = zip(one.tolist(), two.tolist(), alive.tolist(), strict=True)
            return [(a, b) if both else None for a, b, both in pairs]

        def accepts(pair: tuple[int, int]) -> bool:
            return bool(self.accepting[pair[0]] and other.accepting[pair[1]])

        return build((0, 0), row, accepts, self.transitions.shape[1])

    def trimmed(self) -> TokenAutomaton:
        """The same without transitions to states from which none accepts."""
        useful = self.shortest < NEVER
        kept = (self.transitions >= 0) & useful[self.transitions]
        return TokenAutomaton(np.where(kept, self.transitions, np.int32(DEAD)), self.accepting)


def build(
    start: State,
    row: Callable[[State], list[State | None]],
    accepts: Callable[[State], bool],
    tokens: int,
) -> TokenAutomaton:
    """The automaton of all states that are reached from `start`, which `row` leads on from: for
    each token the next state, or None. `TooManyStatesError`.
    """
    numbers = {start: 0}
    states = [start]
    limit = state_limit(tokens)
    transitions = []
    for state in states:  # which grows
        next_states = np.full(tokens, DEAD, dtype=np.int32)
        for token, after in enumerate(row(state)):
            if after is None or token == 0:
                continue
            number = numbers.setdefault(after, len(states))
            if number == len(states):
                states.append(after)
                if len(states) > limit:
                    raise TooManyStatesError(tokens)
            next_states[token] = number
        transitions.append(next_states)
    return TokenAutomaton(np.stack(transitions), np.array([accepts(state) for state in states]))


def at_least(length: int, tokens: int, max_length: int) -> TokenAutomaton:
    """Strings of that many tokens or more. `OptionError` where no string is so long."""
    if length > max_length:
        raise OptionError(f"min_length is {length}; max_length is {max_length}")
    if length >= state_limit(tokens):
        raise TooManyStatesError(tokens)
    after = np.minimum(np.arange(1, length + 2), length).astype(np.int32)
    transitions = np.repeat(after[:, None], tokens, axis=1)
    return TokenAutomaton(transitions, np.arange(length + 1) == length)
