"""Labels in any script: every character is drawn by an installed font or named by its number."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from makemore.vocabulary import Vocabulary
from matplotlib.font_manager import findfont, fontManager, get_font

STOP_LABEL = "⏎"
"""The start and the stop of a string, in pictures."""

_FIRST = "DejaVu Sans"  # ships with matplotlib


def token_labels(vocabulary: Vocabulary) -> list[str]:
    """Each of the V tokens on its own: the first is a return, white space is shown, and a mark sits
    on a dotted circle.
    """
    size = vocabulary.first_label
    tokens = vocabulary.decode(np.arange(1, size), np.arange(size))
    return [STOP_LABEL, *map(_label, tokens), *vocabulary.labels]


def _label(text: str) -> str:
    if text.isspace():
        return "␣" if text == " " else _numbered(text)
    return f"◌{text}" if unicodedata.combining(text[0]) else text


def drawable(texts: Iterable[str]) -> tuple[list[str], dict[str, Any]]:
    """The texts as they can be drawn, and properties of a matplotlib `Text` that draw them.

    A character that no installed font has becomes its number: U+4E2D.
    """
    texts = list(texts)
    families, missing = _fonts(frozenset("".join(texts)))
    shown = ["".join(_numbered(c) if c in missing else c for c in text) for text in texts]
    return shown, {"fontfamily": list(families), "parse_math": False}


def _numbered(text: str) -> str:
    return " ".join(f"U+{ord(character):04X}" for character in text)


@cache
def _fonts(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families that draw the characters between them, and the characters that none of them has."""
    invisible = {c for c in characters if unicodedata.category(c)[0] == "C"}
    families = [_FIRST]
    missing = _lacking(findfont(_FIRST), characters - invisible)
    while missing:
        rest = {family: _lacking(path, missing) for family, path in _installed().items()}
        best = min(rest, key=lambda family: len(rest[family]), default=_FIRST)
        if rest.get(best, missing) == missing:
            break
        families.append(best)
        missing = rest[best]
    return tuple(families), frozenset(missing | invisible)


@cache
def _installed() -> dict[str, str]:
    """Files of upright fonts of normal weight by family.

    Not matplotlib's own, which are for formulas, or have a box for every character.
    """
    own = Path(mpl.get_data_path())
    return {
        font.name: font.fname
        for font in fontManager.ttflist
        if font.weight in (400, "normal")
        and font.style == "normal"
        and not Path(font.fname).is_relative_to(own)
    }


def _lacking(path: str, characters: Iterable[str]) -> set[str]:
    """The characters that a font has no glyph for."""
    font = get_font(path)
    if not font.scalable:  # one of coloured bitmaps cannot be drawn
        return set(characters)
    return {c for c in characters if not font.get_char_index(ord(c))}
