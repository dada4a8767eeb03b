r"""Wildcards: `*` is any text, `?` any character, a backslash takes what follows as it is."""

from __future__ import annotations

from makemore.errors import OptionError
from makemore.limits import shown
from makemore.patterns.automaton import TokenAutomaton, build

ANY_TEXT, ANY_CHARACTER = object(), object()


def parse(wildcard: str) -> list[object]:
    """Characters, and what stands for any. `OptionError` for a backslash at the end."""
    items: list[object] = []
    characters = iter(wildcard)
    for character in characters:
        if character == "*":
            items.append(ANY_TEXT)
        elif character == "?":
            items.append(ANY_CHARACTER)
        elif character == "\\":
            escaped = next(characters, None)
            if escaped is None:
                raise OptionError(
                    f"wildcard is {shown(wildcard)}; a backslash at its end takes no character"
                )
            items.append(escaped)
        else:
            items.append(character)
    return items


def compile_items(
    items: list[object], texts: list[str | None], first: list[str | None]
) -> TokenAutomaton:
    """The automaton of a wildcard over tokens that stand for `texts` (V,), None for none; `first`:
    those of the tokens at the beginning of a string.

    A state is a set of places in the pattern, as the bits of an integer, which a character moves on
    all at once: Baeza-Yates and Gonnet (1992), A New Approach to Text Searching, section 3.
    `TooManyStatesError`.
    """
    stays = any_character = 0
    of_character: dict[str, int] = {}
    places = 0
    for item in items:
        if item is ANY_TEXT:
            stays |= 1 << places
            continue
        if item is ANY_CHARACTER:
            any_character |= 1 << places
        else:
            of_character[str(item)] = of_character.get(str(item), 0) | 1 << places
        places += 1

    def after(state: int, text: str) -> int:
        for character in text:
            matched = state & (of_character.get(character, 0) | any_character)
            state = (matched << 1) | (state & stays)
        return state

    def row(state: tuple[int, bool]) -> list[tuple[int, bool] | None]:
        places_now, begins = state
        moved = (
            None if text is None else after(places_now, text)
            for text in (first if begins else texts)
        )
        return [(places_after, False) if places_after else None for places_after in moved]

    return build((1, True), row, lambda state: bool(state[0] >> places & 1), len(texts))
