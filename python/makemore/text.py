"""How a text is cut into lines or items: the same for training and for scoring."""

from __future__ import annotations

import re

BYTE_ORDER_MARK = "\ufeff"

LINE_END = re.compile(r"\r\n|\n|\r")
"""What ends a line, whatever system the text is from."""

BLANK = "blank"
"""The separator that stands for lines which hold nothing."""

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_BLANK_LINES_AHEAD = re.compile(r"(?:[^\S\n]*\n)*")


def separator_text(separator: str) -> str:
    r"""What is between items: an empty line for "blank", else the text, its \n and \t replaced."""
    if separator == BLANK:
        return "\n\n"
    return separator.replace(r"\n", "\n").replace(r"\t", "\t")


def numbered_items(text: str, separator: str | None = None) -> list[tuple[int, str]]:
    r"""The items of a text that hold something, each with the number of its first line, from 1.

    They are the lines, without a `separator`. With one, an item is what is between two of them, of
    any number of lines, which \n ends: without lines that hold nothing at both ends, and white
    space at the last end; the first line keeps its indentation.
    """
    if separator is None:
        return numbered_lines(text)
    text = LINE_END.sub("\n", text.removeprefix(BYTE_ORDER_MARK))
    between = re.compile(re.escape(separator_text(separator)))
    items = []
    number, begin = 1, 0
    for found in [*(_BLANK_LINES if separator == BLANK else between).finditer(text), None]:
        item = text[begin : found.start() if found else len(text)]
        ahead = _BLANK_LINES_AHEAD.match(item)[0]  # type: ignore[index]  # it may be empty
        if kept := item[len(ahead) :].rstrip():
            items.append((number + ahead.count("\n"), kept))
        if found:
            number += text.count("\n", begin, found.end())
            begin = found.end()
    return items


def numbered_lines(text: str) -> list[tuple[int, str]]:
    r"""The lines that hold something, each with its number, from 1.

    Lines end with \n, \r\n or \r, nothing else: not at the other characters at which
    `str.splitlines` breaks, which a line may hold. A byte order mark is dropped, and white space at
    both ends of a line.
    """
    lines = split_lines(text.removeprefix(BYTE_ORDER_MARK))
    return [(i, kept) for i, line in enumerate(lines, start=1) if (kept := line.strip())]


def split_lines(text: str) -> list[str]:
    """What is between the line ends of a text, the first and the last of it too."""
    return LINE_END.split(text) if "\r" in text else text.split("\n")
