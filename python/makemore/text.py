"""How a text is cut into lines: the same for training and for scoring."""

from __future__ import annotations

import re

BYTE_ORDER_MARK = "\ufeff"

LINE_END = re.compile(r"\r\n|\n|\r")
"""What ends a line, whatever system the text is from."""


def numbered_lines(text: str) -> list[tuple[int, str]]:
    r"""The lines that hold something, each with its number, from 1.

    Lines end with \n, \r\n or \r, nothing else: not at the other characters at which
    `str.splitlines` breaks, which a line may hold. A byte order mark is dropped, and white space at
    both ends of a line.
    """
    lines = LINE_END.split(text.removeprefix(BYTE_ORDER_MARK))
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
