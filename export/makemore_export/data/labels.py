"""The labels of lines: what is before the first tab of each."""

from __future__ import annotations

from makemore.errors import DataError
from makemore.vocabulary import LABEL_END

from makemore_export.data.text import Text

MAX_LABELS = 1000


def labels_of(text: Text) -> tuple[str, ...]:
    """The sorted distinct labels of a text; `DataError` for a line without one, or without more."""
    found = set()
    for number, line in zip(text.numbers, text.lines, strict=True):
        label, tab, string = line.partition(LABEL_END)
        if not tab or not label or not string.strip():
            raise DataError(
                f"{text.name}: line {number} is not a label, a tab and a string: {line!r:.60}"
            )
        found.add(label)
    if len(found) > MAX_LABELS:
        raise DataError(f"{text.name}: has {len(found):,} labels; {MAX_LABELS:,} is the limit")
    return tuple(sorted(found))
