"""How long a training takes after its last step: what it evaluates and counts then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import evaluated, mean_nll
from makemore_export.models import Model

_SAMPLE = 2000  # strings whose evaluation is timed
_REPEATS = 5  # on a busy machine one time says little
_FEW_TOKENS = 1_000_000  # evaluated in seconds


def closing_seconds(
    model: Model,
    splits: Mapping[str, EncodedStrings],
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """About how long it takes to evaluate the splits, from the time that some strings take now.

    A blend does that twice: for each of its components, and for all of them together, with dev once
    more to weigh them. 0 for few tokens.
    """
    tokens = {name: evaluated(strings).token_count for name, strings in splits.items()}
    total = sum(tokens.values())
    if total <= _FEW_TOKENS:
        return 0.0
    if model.components():
        total = 2 * total + tokens.get("dev", 0)
    some = splits["train"].first(_SAMPLE)
    mean_nll(model, some.first(1))  # what is done at the first call alone
    seconds = []
    for _ in range(_REPEATS):
        began = clock()
        mean_nll(model, some)
        seconds.append(clock() - began)
    return median(seconds) * total / some.token_count
