"""From an expression to an automaton over characters: Glushkov's positions, then their sets.

Every character of an expression, its counts written out, is a position. Which positions may follow
which makes a nondeterministic automaton without empty moves, all of whose moves into a position
read the same (Glushkov, 1961). So the set of positions after a character is the set of those that
may follow, and those that read it: one AND of bits, as in shift-and (Baeza-Yates & Gonnet, 1992),
which this is for a wildcard (Navarro & Raffinot, 2005, for expressions). Sets after which the same
may follow are one state (Ilie & Yu, 2003).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError
from makemore.patterns.automaton import MAX_STATES, MAX_TRANSITIONS
from makemore.patterns.expression import (
    Alternation,
    Character,
    Concatenation,
    Expression,
    written_out,
)


@dataclass(frozen=True)
class Part:
    """What a part of an expression may begin with and end with, as sets of positions in bits."""

    empty: bool
    """Whether it matches the empty text."""
    first: int
    last: int


_EMPTY = Part(empty=True, first=0, last=0)


@dataclass
class Positions:
    """The positions of an expression. Position 0 is before the text and reads nothing.

    `reads` names what each reads and `follow` the set of those that may come next; `accepting` is
    the set of those that may be last.
    """

    reads: list[str] = field(default_factory=lambda: [""])
    follow: list[int] = field(default_factory=lambda: [0])
    accepting: int = 0

    @classmethod
    def of(cls, expression: Expression) -> Positions:
        """`OptionError` for more than `expression.MAX_LENGTH` positions."""
        written_out(expression)
        positions = cls()
        whole = positions._add(expression)
        positions.follow[0] = whole.first
        positions.accepting = whole.last | whole.empty
        return positions

    def _add(self, expression: Expression) -> Part:
        if isinstance(expression, Character):
            self.reads.append(expression.reads)
            self.follow.append(0)
            bit = 1 << (len(self.reads) - 1)
            return Part(empty=False, first=bit, last=bit)
        if isinstance(expression, Concatenation):
            return self._joined([self._add(part) for part in expression.parts])
        if isinstance(expression, Alternation):
            parts = [self._add(part) for part in expression.parts]
            return Part(
                empty=any(part.empty for part in parts),
                first=reduce(int.__or__, (part.first for part in parts)),
                last=reduce(int.__or__, (part.last for part in parts)),
            )
        return self._repeated(expression.part, expression.least, expression.most)

    def _repeated(self, expression: Expression, least: int, most: int | None) -> Part:
        if written_out(expression) == 0 or most == 0:
            return _EMPTY
        needed = [self._add(expression) for _ in range(least)]
        if most is None:
            loop = needed.pop() if needed else self._add(expression)
            self._link(loop, loop)
            return self._joined([*needed, loop if least else _optional(loop)])
        # x{0,3} as (x(x(x)?)?)?: a copy is followed by the next one alone.
        tail = _EMPTY
        for copy in reversed([self._add(expression) for _ in range(most - least)]):
            tail = _optional(self._joined([copy, tail]))
        return self._joined([*needed, tail])

    def _joined(self, parts: Sequence[Part]) -> Part:
        """Parts one after the other, from the right, so that each position is linked once."""
        joined = _EMPTY
        for part in reversed(parts):
            self._link(part, joined)
            joined = Part(
                empty=part.empty and joined.empty,
                first=part.first | (joined.first if part.empty else 0),
                last=joined.last | (part.last if joined.empty else 0),
            )
        return joined

    def _link(self, part: Part, after: Part) -> None:
        if after.first:
            for position in _bits(part.last):
                self.follow[position] |= after.first


def _optional(part: Part) -> Part:
    return Part(empty=True, first=part.first, last=part.last)


def _bits(positions: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    while positions:
        lowest = positions & -positions
        yield lowest.bit_length() - 1
        positions ^= lowest


@dataclass(frozen=True)
class CharacterAutomaton:
    """A deterministic automaton over a model's characters; state 0 is the start.

    transitions: int32 (S + 1, C), C the characters; state S is the dead one.
    accepting: bool (S + 1,).
    """

    transitions: NDArray[np.int32]
    accepting: NDArray[np.bool_]


def determinize(positions: Positions, held: dict[str, NDArray[np.bool_]]) -> CharacterAutomaton:
    """The sets of positions that texts lead to, each a state.

    held: which of the characters (C,) each name in `positions.reads` stands for. `OptionError` for
    more than `MAX_STATES` states, or `MAX_TRANSITIONS` transitions.
    """
    # Characters that no name tells apart share a column.
    signatures = [bits.tobytes() for bits in np.packbits(np.stack([*held.values()]), axis=0).T]
    first: dict[bytes, int] = {}
    for at, signature in enumerate(signatures):
        first.setdefault(signature, at)
    column = {signature: k for k, signature in enumerate(first)}
    column_of = [column[signature] for signature in signatures]  # C
    each = list(first.values())  # K
    reads = np.stack([held[name][each] for name in positions.reads], axis=1)  # (K, P)
    packed = np.packbits(reads, axis=1, bitorder="little")
    readers = [int.from_bytes(bits.tobytes(), "little") for bits in packed]
    most = min(MAX_STATES, MAX_TRANSITIONS // max(len(column_of), 1))
    known: dict[tuple[int, int], int] = {}
    dead = 0, False
    numbers = {dead: -1}
    number_of: dict[int, int] = {}  # The state of each set of positions that was come to.

    def number(reached: int) -> int:
        found = number_of.get(reached)
        if found is None:
            # Sets that go on alike are one state: only what may follow counts from here.
            state = _follow(positions, reached, known), bool(reached & positions.accepting)
            found = number_of[reached] = numbers.setdefault(state, len(numbers) - 1)
            if found >= most:
                raise OptionError(
                    f"it grows past {most:,} states, the limit for this model's "
                    f"{len(column_of):,} characters"
                )
            if found == len(states):
                states.append(state)
        return found

    states: list[tuple[int, bool]] = []
    number(1)
    rows = [[number(follow & reader) for reader in readers] for follow, _ in states]
    rows.append([-1] * len(readers))
    table = np.array(rows, dtype=np.int32)
    table[table < 0] = len(states)
    accepting = np.array([accepts for _, accepts in [*states, dead]])
    return CharacterAutomaton(table[:, column_of], accepting)


def _follow(positions: Positions, state: int, known: dict[tuple[int, int], int]) -> int:
    """The positions that may follow those of `state`, looked up eight at a time."""
    follow = 0
    for at, byte in enumerate(state.to_bytes(state.bit_length() // 8 + 1, "little")):
        if byte:
            found = known.get((at, byte))
            if found is None:
                found = reduce(
                    int.__or__, (positions.follow[8 * at + bit] for bit in _bits(byte)), 0
                )
                known[at, byte] = found
            follow |= found
    return follow
