r"""Wildcards: `*` is any run of characters, `?` any one, and `\` takes away their meaning."""

from __future__ import annotations

from makemore.errors import OptionError
from makemore.patterns.expression import (
    ANY,
    Character,
    Concatenation,
    Expression,
    Repetition,
    require_text,
)

_ANY = Character(ANY)
_MEANING: dict[str, Expression] = {"?": _ANY, "*": Repetition(_ANY, 0, None)}


def parse_wildcard(wildcard: str) -> Concatenation:
    """What a wildcard says; `OptionError` with the reason where it says nothing."""
    require_text(wildcard)
    if not wildcard:
        raise OptionError("it must hold at least 1 character")
    parts: list[Expression] = []
    at = 0
    while at < len(wildcard):
        character = wildcard[at]
        if character == "\\":
            at += 1
            character = wildcard[at : at + 1]
            if not character or character not in "*?\\":
                raise OptionError(f"after the backslash, character {at}, comes none of * ? \\")
            parts.append(Character(character))
        else:
            parts.append(_MEANING.get(character, Character(character)))
        at += 1
    return Concatenation(parts)


def parse_suffix(suffix: str) -> Concatenation:
    """The wildcard `*` and then `suffix`, each of its characters as it is."""
    require_text(suffix)
    return Concatenation([_MEANING["*"], *map(Character, suffix)])
