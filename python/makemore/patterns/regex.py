"""Regular expressions, in the syntax of Rust's regex crate as far as automata know it."""

from __future__ import annotations

import re

from makemore.errors import OptionError
from makemore.patterns.expression import (
    ANY,
    Alternation,
    Character,
    Concatenation,
    Expression,
    Repetition,
    require_text,
)

MAX_DEPTH = 50
"""Most groups inside each other."""

_ESCAPE = re.compile(
    r"\\(?:[pP](?:\{[^}]*\}|[^{])"
    r"|x\{(?P<braces>[0-9A-Fa-f]{1,6})\}|x(?P<two>[0-9A-Fa-f]{2})"
    r"|u\{(?P<u_braces>[0-9A-Fa-f]{1,6})\}|u(?P<four>[0-9A-Fa-f]{4})|U(?P<eight>[0-9A-Fa-f]{8})"
    r"|.)",
    re.DOTALL,
)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_COUNT = re.compile(r"\{ *(\d*) *(,?) *(\d*) *\}", re.ASCII)
_NAMED = re.compile(r"\(\?P?<\w+>")
_FLAGS = re.compile(r"\(\?([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)])")
_KINDS = {
    "(?=": "a look-ahead",
    "(?!": "a look-ahead",
    "(?<=": "a look-behind",
    "(?<!": "a look-behind",
    "(?P=": "a back-reference",
    "(?>": "an atomic group",
    "(?(": "a condition",
    "(?#": "a comment",
}


def parse_regex(pattern: str) -> Expression:
    """What a regular expression says that must match a whole string.

    It may hold literals, `.`, classes, groups, `|`, the quantifiers `*`, `+`, `?` and `{m,n}`, the
    flags `i` and `s`, and anchors at its two ends, where they change nothing. `OptionError` with
    the reason for anything else.
    """
    require_text(pattern)
    if not pattern:
        raise OptionError("it must hold at least 1 character")
    parser = _Parser(pattern)
    expression = parser.alternation()
    if parser.at < len(pattern):
        raise OptionError(f"the ) at character {parser.at + 1} closes no group")
    return expression


class _Parser:
    """Recursive descent: a method per rule of the grammar, which reads on from `at`."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0
        self.flags = frozenset[str]()

    def alternation(self) -> Expression:
        parts = [self.concatenation()]
        while self._next() == "|":
            self.at += 1
            parts.append(self.concatenation())
        return parts[0] if len(parts) == 1 else Alternation(parts)

    def concatenation(self) -> Expression:
        parts: list[Expression] = []
        while self._next() not in ("", "|", ")"):
            if not self._skip_anchor(first=not parts) and not self._set_flags():
                parts.append(self._quantified(self._single()))
        return parts[0] if len(parts) == 1 else Concatenation(parts)

    def _next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _skip_anchor(self, *, first: bool) -> bool:
        """Reads an anchor at an end of the whole pattern, where it says what holds anyway."""
        anchor = re.compile(r"\^|\$|\\[AzZ]").match(self.pattern, self.at)
        if anchor is None:
            return False
        after = self.pattern[anchor.end() : anchor.end() + 1]
        holds = first if anchor[0] in ("^", r"\A") else after in ("", "|", "$")
        if self.depth or not holds or after in ("*", "+", "?", "{"):
            raise OptionError(
                f"the anchor {anchor[0]} at character {self.at + 1} is not at an end of the "
                "pattern; the whole string must match in any case"
            )
        self.at = anchor.end()
        return True

    def _set_flags(self) -> bool:
        """Reads flags that hold from here to the end of the group, as in `(?i)`."""
        match = _FLAGS.match(self.pattern, self.at)
        if match is None or match[3] == ":":
            return False
        self.flags = self._flags_of(match)
        self.at = match.end()
        return True

    def _flags_of(self, match: re.Match[str]) -> frozenset[str]:
        on, off = set(match[1]), set(match[2] or "")
        if unknown := sorted((on | off) - {"i", "s"}):
            raise OptionError(
                f"the flag {unknown[0]!r} of {match[0]} at character {self.at + 1} is not known; "
                "i and s are"
            )
        return frozenset((self.flags | on) - off)

    def _quantified(self, part: Expression) -> Expression:
        start = self.at
        bounds = self._quantifier()
        if bounds is None:
            return part
        if self._next() == "?":  # As few as possible: the strings that match are the same.
            self.at += 1
        if self._next() in ("*", "+", "?", "{"):
            raise OptionError(
                f"the quantifier at character {start + 1} is followed by another one; "
                "write a group between them"
            )
        return Repetition(part, *bounds)

    def _quantifier(self) -> tuple[int, int | None] | None:
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._next())
        if simple is not None:
            self.at += 1
            return simple
        if self._next() != "{":
            return None
        match = _COUNT.match(self.pattern, self.at)
        if match is None or not (match[1] or match[3]):
            raise OptionError(
                f"the {{ at character {self.at + 1} begins no count; write \\{{ for the character"
            )
        least = int(match[1] or 0)
        most = least if not match[2] else int(match[3]) if match[3] else None
        if most is not None and most < least:
            raise OptionError(f"the count {match[0]} ends below its begin")
        self.at = match.end()
        return least, most

    def _single(self) -> Expression:
        """Reads a group, a class, an escape or a literal."""
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        if character in "*+?{":
            raise OptionError(
                f"before the {character} at character {self.at + 1} is nothing to repeat; "
                f"write \\{character} for the character"
            )
        self.at += 1
        if character == ".":
            return Character(ANY if "s" in self.flags else r"[^\n]")
        return self._literal(character)

    def _literal(self, character: str) -> Character:
        has_cases = character.lower() != character or character.upper() != character
        return Character(f"(?i:{character})" if "i" in self.flags and has_cases else character)

    def _of_class(self, text: str) -> Character:
        return Character(f"(?i:{text})" if "i" in self.flags else text)

    def _group(self) -> Expression:
        start, outer = self.at, self.flags
        named = _NAMED.match(self.pattern, start)
        flags = _FLAGS.match(self.pattern, start)
        if named:
            self.at = named.end()
        elif flags:
            self.flags = self._flags_of(flags)
            self.at = flags.end()
        elif self.pattern.startswith("(?", start):
            found = [
                kind for opens, kind in _KINDS.items() if self.pattern.startswith(opens, start)
            ]
            raise self._unknown(found[0] if found else "a group of an unknown kind")
        else:
            self.at += 1
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise OptionError(f"its groups lie {self.depth} deep; {MAX_DEPTH} is the limit")
        expression = self.alternation()
        if not self._next():
            raise OptionError(f"the ( at character {start + 1} has no )")
        self.at += 1
        self.depth -= 1
        self.flags = outer
        return expression

    def _class(self) -> Character:
        """Reads `[...]`, which may hold others; what it means is not known here."""
        start, depth = self.at, 0
        for match in re.compile(r"\\.|\[\^?\]?|\]", re.DOTALL).finditer(self.pattern, start):
            depth += {"[": 1, "]": -1}.get(match[0][0], 0)
            if depth == 0:
                self.at = match.end()
                return self._of_class(self.pattern[start : self.at])
        raise OptionError(f"the [ at character {start + 1} has no ]")

    def _escape(self) -> Character:
        match = _ESCAPE.match(self.pattern, self.at)
        if match is None:
            raise OptionError("it ends in a backslash")
        kind = match[0][1]
        if match.lastgroup:
            character = self._code_point(match[match.lastgroup])
        elif kind in _CONTROLS:
            character = _CONTROLS[kind]
        elif kind in "dDsSwWpP":
            self.at = match.end()
            return self._of_class(match[0])
        elif kind in "bB<>":
            raise self._unknown("a word boundary")
        elif kind in "123456789kg":
            raise self._unknown("a back-reference")
        elif kind.isascii() and kind.isalnum():
            raise OptionError(f"the escape {match[0]} at character {self.at + 1} is not known")
        else:
            character = kind
        self.at = match.end()
        return self._literal(character)

    def _code_point(self, digits: str) -> str:
        number = int(digits, 16)
        if number > 0x10FFFF:
            raise OptionError(f"character {self.at + 1} stands for no character: {digits}")
        require_text(chr(number))
        return chr(number)

    def _unknown(self, what: str) -> OptionError:
        return OptionError(
            f"at character {self.at + 1} it has {what}, which needs more than the automaton that "
            "patterns are compiled to"
        )
