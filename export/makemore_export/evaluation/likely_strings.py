"""The strings that a model makes most often, and whether they are lines of its text."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from makemore import Sampler
from makemore.errors import OptionError

from makemore_export.evaluation.novelty import as_made

COUNT = 20


class LikelyString(msgspec.Struct, frozen=True, kw_only=True):
    """A string, its probability, and whether it is a line of the text; None: not known."""

    text: str
    probability: float
    is_line: bool | None


def likely_strings(sampler: Sampler, lines: Sequence[str] | None) -> tuple[LikelyString, ...]:
    """The `COUNT` most likely strings; none where so many are as likely that too many prefixes
    would have to be kept, or of a model with labels.
    """
    try:
        found = sampler.most_likely(COUNT)
    except OptionError:
        return ()
    known = None
    if lines is not None:
        known = {*found.strings}.intersection(as_made(sampler.artifact, lines))
    return tuple(
        LikelyString(
            text=text, probability=float(p), is_line=None if known is None else text in known
        )
        for text, p in zip(found.strings, found.probabilities, strict=True)
    )
