"""How often each token follows each: the picture of the lecture on bigrams."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.plots.figure import new_axes, set_ticks
from makemore_export.plots.labels import STOP_LABEL, drawable

LARGEST_WITH_NUMBERS, LARGEST = 60, 100
"""Tokens in a picture that has counts in its cells, and in one that has colours only."""

_CELL = 0.45  # inches


def most_frequent(strings: EncodedStrings, vocab_size: int, limit: int = LARGEST) -> Tensor:
    """The up to `limit` tokens that `strings` has most often, in the order of their ids."""
    frequency = torch.bincount(strings.tokens.cpu(), minlength=vocab_size)
    most = frequency.argsort(descending=True, stable=True)[:limit]
    return most[frequency[most] > 0].sort().values


def bigram_counts(strings: EncodedStrings, chosen: Tensor, vocab_size: int) -> Tensor:
    """How often token `chosen[j]` follows token `chosen[i]`: int64 (K, K), row i, column j.

    Token 0 is the start and the stop.
    """
    size = len(chosen)
    place = torch.full((vocab_size,), -1)
    place[chosen] = torch.arange(size)
    places = place[strings.tokens.cpu()]  # of 0 c1 ... cL 0 ...: neighbours are bigrams
    first, second = places[:-1], places[1:]
    both = (first >= 0) & (second >= 0)
    return torch.bincount(first[both] * size + second[both], minlength=size**2).view(size, size)


def bigram_plot(
    counts: Tensor, labels: Sequence[str], vocab_size: int, source: str, unit: str
) -> Figure:
    """A heat map of `counts` (K, K) of the tokens `labels`, which are K of V."""
    size = len(labels)
    numbers = size <= LARGEST_WITH_NUMBERS
    title = f"Bigrams of {source}: how often a row's {unit} is followed by a column's"
    if size < vocab_size:
        title += f"; the {size} most frequent of {vocab_size:,} tokens"
    if not numbers:
        title += "; colours only, on a scale of square roots"
    inches = max(7.0, size * (_CELL if numbers else _CELL / 3) + 1.5)
    figure, axes = new_axes(
        inches,
        inches,
        title,
        f"second {unit}, {STOP_LABEL} for the stop",
        f"first {unit}, {STOP_LABEL} for the start",
    )
    axes.imshow(counts.double().sqrt().numpy(), cmap="Blues")
    axes.xaxis.tick_top()
    set_ticks(axes, "x", labels, None if numbers else 6)
    set_ticks(axes, "y", labels, None if numbers else 6)
    axes.tick_params(length=0)
    if numbers:
        _write_numbers(axes, counts, labels)
    return figure


def _write_numbers(axes: Axes, counts: Tensor, labels: Sequence[str]) -> None:
    """The count in each cell, below the two tokens if they are short; white where it is dark."""
    texts, style = drawable(labels)
    lengths = [len(text) for text in texts]
    dark = counts.max().item() / 4  # half of the scale of square roots
    for i, row in enumerate(counts.tolist()):
        for j, count in enumerate(row):
            axes.text(
                j,
                i,
                f"{texts[i]}{texts[j]}\n{count}"
                if max(lengths[i], lengths[j]) <= 2
                else f"{count}",
                color="white" if count > dark else "#404040",
                ha="center",
                va="center",
                fontsize=7,
                **style,
            )
