"""What all pictures have in common: no display, no state shared between them, labelled axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from makemore_export.plots.labels import drawable

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
COLOURS = (BLUE, ORANGE, GREEN, PINK, "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Apart for the colour-blind: Okabe & Ito, "Color universal design" (2008)."""

_DPI = 120
_LETTERS_AN_INCH = 10  # of a title, at least


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, laid out when it is drawn."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_axes(width: float, height: float, title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """A figure with one picture, its title, and what its axes show."""
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    set_title(axes, title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def set_title(axes: Axes, title: str) -> None:
    [text], style = drawable([title])
    axes.set_title(_wrapped(text, axes.get_window_extent().width / _DPI), **style)


def set_figure_title(figure: Figure, title: str) -> None:
    [text], style = drawable([title])
    figure.suptitle(_wrapped(text, figure.get_figwidth()), **style)


def set_ticks(
    axes: Axes, which: Literal["x", "y"], labels: Sequence[str], fontsize: float | None = None
) -> None:
    """A tick at 0, 1, 2, ... for each label; long ones stand upright below the x axis."""
    texts, style = drawable(labels)
    if which == "y":
        axes.set_yticks(range(len(texts)), texts, fontsize=fontsize, **style)
        return
    rotation = 90 if max(map(len, texts), default=0) > 2 else 0
    axes.set_xticks(range(len(texts)), texts, fontsize=fontsize, rotation=rotation, **style)


def _wrapped(text: str, inches: float) -> str:
    return textwrap.fill(text, max(20, round(inches * _LETTERS_AN_INCH)))


def save_png(figure: Figure, path: Path) -> None:
    """Writes the figure to `path`, in place of any file there."""
    figure.savefig(path, format="png")
