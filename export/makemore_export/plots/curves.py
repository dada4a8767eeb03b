"""Losses against steps, and against learning rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from makemore_export.plots.figure import BLUE, COLOURS, GREEN, ORANGE, new_axes, set_ticks
from makemore_export.plots.labels import drawable
from makemore_export.runs.records import Evaluation

_STYLES = {"train": "--", "dev": "-"}


def loss_plot(
    logs: Mapping[str, Sequence[Evaluation]], title: str, unit: str, *, log_scale: bool = False
) -> Figure:
    """Train and dev loss on the way, by the name of the model; the lowest are marked. Behind them,
    the loss of each step.
    """
    figure, axes = new_axes(8, 5, title, "steps", f"loss, nats per {unit}")
    names, style = drawable(logs)
    for name, log, colour in zip(names, logs.values(), COLOURS, strict=False):
        each = [
            (evaluation.step - len(evaluation.step_losses) + 1 + i, loss)
            for evaluation in log
            for i, loss in enumerate(evaluation.step_losses)
            if loss is not None
        ]
        if each:
            axes.plot(*zip(*each, strict=True), color=colour, alpha=0.25, linewidth=0.5)
        for split, line in _STYLES.items():
            losses = [(e.step, loss) for e in log if (loss := e.losses.get(split)) is not None]
            if not losses:
                continue
            steps, values = zip(*losses, strict=True)
            axes.plot(steps, values, line, color=colour, label=f"{name}, {split}")
            lowest = values.index(min(values))
            axes.plot(steps[lowest], values[lowest], "o", color=colour)
            axes.annotate(
                f"{values[lowest]:.4f}",
                (steps[lowest], values[lowest]),
                xytext=(0, 5),
                textcoords="offset points",
                ha="center",
            )
    if log_scale:
        axes.set_yscale("log")
    axes.legend(prop={"family": style["fontfamily"]})
    axes.grid(alpha=0.3)
    return figure


def learning_rate_plot(points: Sequence[tuple[float, float]], suggestion: float) -> Figure:
    """A sweep: (learning rate, smoothed loss in nats per token), and the rate that it suggests."""
    rates, losses = zip(*points, strict=True)
    title = "Learning-rate sweep: one step at each rate"
    figure, axes = new_axes(8, 5, title, "learning rate", "smoothed loss, nats per token")
    axes.semilogx(rates, losses, color=BLUE)
    axes.axvline(suggestion, color=ORANGE, linestyle="--", label=f"suggestion {suggestion:.2g}")
    lowest, margin = min(losses), max(losses[0] - min(losses), 1e-3)
    axes.set_ylim(lowest - 0.1 * margin, losses[0] + 0.5 * margin)  # the end may be anywhere
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def sweep_plot(option: str, points: Sequence[tuple[str, float | None, float | None]]) -> Figure:
    """Train and dev loss by the value of an option, the lowest dev loss marked.

    points: (value, train, dev), a loss None where infinite. Positive numbers are on a logarithmic
    axis, others side by side.
    """
    figure, axes = new_axes(8, 5, f"{option}: what it does", option, "loss, nats per token")
    try:
        places = [float(value) for value, _, _ in points]
    except ValueError:
        places = []
    if places and min(places) > 0:
        axes.set_xscale("log")
    else:
        places = [float(i) for i in range(len(points))]
        set_ticks(axes, "x", [value for value, _, _ in points])
    train, dev = (
        [math.nan if loss is None else loss for loss in losses]
        for losses in ([point[1] for point in points], [point[2] for point in points])
    )
    axes.plot(places, train, "--o", color=BLUE, label="train")
    axes.plot(places, dev, "-o", color=ORANGE, label="dev")
    lowest = min(range(len(dev)), key=lambda i: math.inf if math.isnan(dev[i]) else dev[i])
    label = f"lowest dev, {points[lowest][0]}"
    axes.axvline(places[lowest], color=GREEN, linestyle=":", label=label)
    axes.legend()
    axes.grid(alpha=0.3)
    return figure
