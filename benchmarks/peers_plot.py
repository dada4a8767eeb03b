"""The picture of benchmarks/peers.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from makemore_export.plots.figure import BLUE, new_figure, save_png, set_title
from matplotlib.axes import Axes
from peer import OUR_PEERS

Row = dict[str, float | str]


def draw(models: dict[str, dict[str, Any]], path: Path, one: str, many: str) -> None:
    """The columns `one` and `many` of the tables, a bar a peer, a row of pictures a model."""
    heights = [len(found["one"]) for found in models.values()]
    figure = new_figure(11, 0.35 * sum(heights) + len(models))
    pictures = figure.subplots(len(models), 2, squeeze=False, sharex="col", height_ratios=heights)
    for (model, found), (left, right) in zip(models.items(), pictures, strict=True):
        draw_bars(left, found["one"], one)
        set_title(left, f"{model}: us for one name")
        draw_bars(right, found["many"], many)
        set_title(right, f"{model}: {many}")
    save_png(figure, path)


def draw_bars(axes: Axes, rows: list[Row], column: str) -> None:
    """The first row on top, figures on a logarithmic axis, makemore's in blue."""
    names = [str(row["peer"]) for row in rows]
    colours = [BLUE if name in OUR_PEERS else "0.6" for name in names]
    bars = axes.barh(names, [float(row[column]) for row in rows], color=colours)
    axes.bar_label(bars, [f"{row[column]:,.0f}" for row in rows], padding=3)
    axes.set_xscale("log")
    axes.tick_params(labelbottom=True)
    axes.invert_yaxis()
    axes.margins(x=0.25)
