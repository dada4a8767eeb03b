"""Text of a file on a terminal: a control sequence in it could forge what the reader sees."""

from __future__ import annotations

import re
import sys
from typing import TextIO

# Controls (C0, DEL, C1), line and paragraph separators, marks and overrides of the direction of
# text, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape(text: str) -> str:
    r"""The text with every character that a terminal acts on written as in Python, such as \x1b."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escape_json(text: str) -> str:
    r"""The same JSON with every such character within its strings written as in JSON, \u001b."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def to_show(text: str, stream: TextIO | None = None) -> str:
    """One value of a file for a stream, stdout if none is given.

    Escaped where the stream is a terminal; as it is where another program reads it.
    """
    stream = stream or sys.stdout
    return escape(text) if stream is not None and stream.isatty() else text


def as_one_line(string: str) -> str:
    r"""A string of several lines for people, with \n where they end."""
    return string.replace("\n", r"\n")


def plural(n: int, noun: str) -> str:
    """A noun as it stands after a number: "string" after 1, else "strings"."""
    return noun if n == 1 else f"{noun}s"
