"""The characters of a class, as outlines-core reads it.

outlines-core compiles whole expressions too, but is not asked to. Its automaton is over the bytes
of UTF-8 and knows no limit: `.*a.{16}` takes 10 s and `(a|b)*a` before 24 times `[ab]` more memory
than there is, which ends the process. It also refuses what can match where one branch cannot, and
a message of its tells no reason. A class is at most some milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError


def require_outlines_core() -> Any:
    """The module; `OptionError` where it is not installed."""
    try:
        return import_module("outlines_core")
    except ImportError:
        raise OptionError(
            'regular expressions need outlines-core: pip install "makemore[patterns]"'
        ) from None


def members(classes: Sequence[str], characters: str) -> NDArray[np.bool_]:
    """Whether each class holds each character, (classes, characters).

    `OptionError` where a class cannot be read, or outlines-core is not installed.
    """
    outlines_core = require_outlines_core()
    texts = {c: [i] for i, c in enumerate(characters, start=1) if not "\ud800" <= c <= "\udfff"}
    # outlines-core takes no class without a member, so each gets one more.
    other = next(c for c in map(chr, range(1, 0x110000)) if c not in texts)
    vocabulary = outlines_core.Vocabulary(0, {**texts, other: [len(characters) + 1]})
    held = np.zeros((len(classes), len(characters) + 2), dtype=np.bool_)
    for row, text in zip(held, classes, strict=True):
        try:
            index = outlines_core.Index(rf"(?:{text})|\x{{{ord(other):x}}}", vocabulary)
        except ValueError:
            raise OptionError(f"outlines-core cannot read its class {text}") from None
        row[list(index.get_transitions()[index.get_initial_state()])] = True
    return held[:, 1:-1]
