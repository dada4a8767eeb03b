"""What a pattern says, before any automaton: characters, one after the other, or, and repeated.

Regular expressions and wildcards both become this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from makemore.errors import OptionError

MAX_LENGTH = 4096
"""Most characters of a pattern, and of what it says with its counts written out: `a{9}` has 9."""

ANY = ""
"""What a `Character` reads that may be any character."""


@dataclass(frozen=True)
class Character:
    """Reads one character: `ANY`, the one given, or any of a class where `reads` is longer."""

    reads: str


@dataclass(frozen=True)
class Concatenation:
    """Reads its parts one after the other; without parts, the empty text."""

    parts: Sequence[Expression]


@dataclass(frozen=True)
class Alternation:
    """Reads one of its parts."""

    parts: Sequence[Expression]


@dataclass(frozen=True)
class Repetition:
    """Reads its part at least `least` times, and at most `most`; None: without end."""

    part: Expression
    least: int
    most: int | None


Expression: TypeAlias = Character | Concatenation | Alternation | Repetition


def written_out(expression: Expression) -> int:
    """Characters that it reads with its counts written out; `OptionError` above `MAX_LENGTH`."""
    if isinstance(expression, Character):
        return 1
    if isinstance(expression, Repetition):
        times = expression.most if expression.most is not None else max(expression.least, 1)
        size = written_out(expression.part) * times
    else:
        size = sum(map(written_out, expression.parts))
    if size > MAX_LENGTH:
        # A count may have thousands of digits.
        found = f"{size:,}" if size < 10**12 else "more than 10**12"
        raise OptionError(
            f"with its counts written out it has {found} characters; {MAX_LENGTH:,} is the limit"
        )
    return size


def require_text(text: str) -> None:
    """Raises `OptionError` for what no pattern may hold, or for too much of it."""
    if len(text) > MAX_LENGTH:
        raise OptionError(f"it has {len(text):,} characters; {MAX_LENGTH:,} is the limit")
    for at, character in enumerate(text, start=1):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise OptionError(
                f"character {at} is U+{ord(character):04X}, which is no character of a text"
            )
