"""Which strings pass: what only a whole string tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError
from makemore.fingerprints import Fingerprints
from makemore.options import FilterOptions


@dataclass(frozen=True)
class TextFilter:
    """What only a whole string tells: that it is not in a collection, nor a line of training."""

    options: FilterOptions
    fingerprints: Fingerprints | None

    def passing(self, texts: Sequence[str]) -> NDArray[np.intp]:
        """The numbers of the strings that pass, rising."""
        passes = np.ones(len(texts), dtype=bool)
        if self.fingerprints is not None:
            passes &= ~self.fingerprints.contains(texts)
        not_in = self.options.not_in
        if not_in is not None:
            passes &= np.array([text not in not_in for text in texts], dtype=bool)
        return np.flatnonzero(passes)


def text_filter(
    options: FilterOptions, fingerprints: Callable[[], Fingerprints | None]
) -> TextFilter | None:
    """None where every string passes. `OptionError` for `novel` where nothing is known of the
    training text.
    """
    if not options.novel and options.not_in is None:
        return None
    known = fingerprints() if options.novel else None
    if options.novel and known is None:
        raise OptionError(
            "novel is True; the artifact has no fingerprints of its training lines: export it "
            "without --no-fingerprints, and a run with --text FILE"
        )
    return TextFilter(options, known)
