"""How large the automaton of a regular expression can become, before it is made.

outlines-core has no limit of its own: `(a|b)*a(a|b){30}` has 2**31 states, and ends the process
where they do not fit in memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from makemore.errors import OptionError
from makemore.limits import shown

MAX_PARTS = 2000
"""Most parts of an expression, counted repetitions written out."""

MAX_LOOSE = 16
"""Most parts that match several characters and come after a part of no fixed length: each may
double the number of states.
"""

_TOKEN = re.compile(
    r"(?P<escape>\\(?:[pP](?:\{[^}]*\}|.)|x\{[^}]*\}|u\{[^}]*\}|.))"
    r"|(?P<count>\{\s*(?P<least>\d+)\s*(?P<comma>,)?\s*(?P<most>\d+)?\s*\})"
    r"|(?P<open>\((?:\?(?:P?<[^>=!]*>|[a-zA-Z-]*:))?)"
    r"|(?P<other>.)",
    re.DOTALL,
)


@dataclass
class _Size:
    """Of a part of an expression: parts, those that match several characters, of them those after
    a part whose length is not fixed, and whether its own is not.
    """

    parts: int = 0
    wide: int = 0
    loose: int = 0
    varies: bool = False

    def then(self, other: _Size) -> _Size:
        loose = self.loose + (other.wide if self.varies else other.loose)
        return _Size(
            self.parts + other.parts, self.wide + other.wide, loose, self.varies or other.varies
        )

    def times(self, least: int, most: int | None) -> _Size:
        count = least if most is None else most
        varies = self.varies or most != least
        repeated = max(count, 1)
        again = (repeated - 1) * self.wide if self.varies else (repeated - 1) * self.loose
        return _Size(self.parts * repeated, self.wide * repeated, self.loose + again, varies)


def require_bounded(expression: str) -> None:
    """`OptionError` for an expression whose automaton may be too large to make."""
    size = _measure(expression)
    if size.parts > MAX_PARTS:
        raise OptionError(
            f"matching is {shown(expression)}; with its counts written out it has {size.parts:,} "
            f"parts; the limit is {MAX_PARTS:,}"
        )
    if size.loose > MAX_LOOSE:
        raise OptionError(
            f"matching is {shown(expression)}; after a part of no fixed length {size.loose} parts "
            f"match several characters, each of which may double the states of the automaton; the "
            f"limit is {MAX_LOOSE}"
        )


def _measure(expression: str) -> _Size:
    """Reads an expression from left to right, with a stack of its groups."""
    stack: list[tuple[list[_Size], _Size]] = []
    branches: list[_Size] = []
    sequence, atom = _Size(), _Size()
    at = 0
    while at < len(expression):
        token = _TOKEN.match(expression, at)
        if token is None:
            break
        at = token.end()
        text = token.group()
        if token["count"]:
            least = int(token["least"])
            most = int(token["most"]) if token["most"] else None if token["comma"] else least
            atom = atom.times(least, most)
        elif text in ("*", "+", "?"):
            atom = atom.times(0 if text != "+" else 1, 1 if text == "?" else None)
        elif token["open"]:
            stack.append((branches, sequence.then(atom)))
            branches, sequence, atom = [], _Size(), _Size()
        elif text == ")" and stack:
            group = _either([*branches, sequence.then(atom)])
            branches_before, sequence = stack.pop()
            branches, atom = branches_before, group
        elif text == "|":
            branches, sequence, atom = [*branches, sequence.then(atom)], _Size(), _Size()
        elif text == "[":
            at = _end_of_class(expression, at)
            sequence, atom = sequence.then(atom), _Size(1, 1)
        else:
            wide = text == "." or (text[0] == "\\" and text[1:2] in tuple("pPwWdDsS"))
            sequence, atom = sequence.then(atom), _Size(1, int(wide))
    return _either([*branches, sequence.then(atom)])


def _either(branches: list[_Size]) -> _Size:
    if len(branches) == 1:
        return branches[0]
    # Branches may be of different lengths, and which it is may long be open.
    return _Size(
        sum(branch.parts for branch in branches),
        max(1, sum(branch.wide for branch in branches)),
        sum(branch.loose for branch in branches),
        any(branch.varies for branch in branches) or len({branch.parts for branch in branches}) > 1,
    )


def _end_of_class(expression: str, at: int) -> int:
    """The place after a class in brackets, whose content begins at `at`."""
    depth = 1
    begin = at + 1 if expression[at : at + 1] == "^" else at
    while at < len(expression) and depth:
        character = expression[at]
        if character == "\\":
            at += 1
        elif character == "[":
            depth += 1
        elif character == "]" and at > begin:
            depth -= 1
        at += 1
    return at
