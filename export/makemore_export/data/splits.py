"""The lines of a text in splits: train, dev, test."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from makemore.errors import DataError

from makemore_export.data.lines import Lines

SPLITS = ("train", "dev", "test")

BOTH, BEFORE = "train and dev", "dev before the refit"
"""Names of losses after a refit: of the final model, and of the one that was chosen on dev."""


def parse_split(text: str) -> tuple[float, float, float]:
    """Percentages of train, dev, test from `80/10/10`; those left out at the end are 0."""
    try:
        percents = [float(percent) for percent in text.split("/")]
    except ValueError:
        raise _bad_split(f"split {text!r}") from None
    percents += [0.0] * (len(SPLITS) - len(percents))
    if len(percents) > len(SPLITS):
        raise _bad_split(f"split {text!r}")
    train, dev, test = percents
    check_split((train, dev, test), f"split {text!r}")
    return train, dev, test


def of_refit(percents: tuple[float, float, float]) -> tuple[float, float, float]:
    """The same split with dev as part of train: each line of test stays there."""
    train, dev, test = percents
    return train + dev, 0.0, test


def check_split(percents: tuple[float, float, float], what: str) -> None:
    """`DataError`, which begins with `what`, unless these are percentages of train, dev, test."""
    shares = all(0 <= percent <= 100 for percent in percents)  # nan is none
    # 33.1/33.7/33.2 sum to a little less in floats.
    if not percents[0] or not shares or abs(math.fsum(percents) - 100) > 1e-9:
        raise _bad_split(what)


def _bad_split(what: str) -> DataError:
    return DataError(
        f"{what} must be percentages of {'/'.join(SPLITS)} that sum to 100, "
        "with some for train: 80/10/10"
    )


def split(
    lines: Iterable[str],
    percents: tuple[float, float, float],
    seed: int,
    *,
    keep_duplicates: bool = False,
) -> dict[str, Lines]:
    """Shuffles and cuts `lines` into those of `SPLITS` with a percentage above 0.

    Unless `keep_duplicates`, duplicates are dropped first, so that no line of one split is in
    another. `DataError` if a split would be empty.
    """
    lines = Lines.of(lines)
    pool = lines if keep_duplicates else lines.take(lines.first_rows)
    order = np.random.default_rng(seed).permutation(len(pool))
    ends = [round(len(pool) * sum(percents[: i + 1]) / 100) for i in range(len(SPLITS))]
    splits = {}
    for name, percent, begin, end in zip(SPLITS, percents, [0, *ends], ends, strict=False):
        if percent > 0:
            splits[name] = pool.take(order[begin:end])
            if begin == end:
                repeated = len(lines) - len(pool)
                dropped = (
                    f" ({repeated:,} more repeat one of them: --keep-duplicates keeps those)"
                    if repeated
                    else ""
                )
                raise DataError(
                    f"{percent:g}% of {len(pool)} lines leaves none for {name}{dropped}; "
                    "it needs 1; --split 100 trains on all lines, without dev and test"
                )
    return splits
