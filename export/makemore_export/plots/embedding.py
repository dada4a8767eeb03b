"""The tokens of a model by their learned vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

from makemore_export.models import Model
from makemore_export.plots.figure import BLUE, new_axes
from makemore_export.plots.labels import drawable

MARKS = 150
"""Most tokens in a picture."""


def token_vectors(model: Model) -> NDArray[np.float64] | None:
    """The learned vectors of the tokens (V, C): a model's first embedding; None without one."""
    table = next((layer for layer in model.modules() if isinstance(layer, nn.Embedding)), None)
    return None if table is None else table.weight.detach().cpu().double().numpy()


def plane(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[str]]:
    """Points (N, 2) for vectors (N, C), and what the axes are.

    Two dimensions are kept as they are; more become the two along which the points differ most:
    Pearson, "On lines and planes of closest fit to systems of points in space" (1901).
    """
    if vectors.shape[1] == 2:
        return vectors, ["first dimension", "second dimension"]
    centred = vectors - vectors.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    shares = sizes**2 / max((sizes**2).sum(), np.finfo(float).tiny)
    points = np.zeros((len(vectors), 2))
    points[:, : len(sizes)] = (left * sizes)[:, :2]
    names = ("first", "second")
    axes = [
        f"{name} component, {s:.0%} of variance" for name, s in zip(names, shares, strict=False)
    ]
    return points, [*axes, "no second component"][:2]


def embedding_plot(vectors: NDArray[np.float64], labels: Sequence[str], title: str) -> Figure:
    """The tokens of `vectors` (N, C) as their `labels` in the plane."""
    points, (x, y) = plane(vectors)
    figure, axes = new_axes(9, 9, title, x, y)
    texts, style = drawable(labels)
    crowded = len(texts) > 60 or max(map(len, texts)) > 2
    size = 20 if crowded else 350  # of the mark: behind a letter, or in the middle of a word
    axes.scatter(points[:, 0], points[:, 1], s=size, color=BLUE, alpha=0.15, linewidths=0)
    for text, (across, up) in zip(texts, points.tolist(), strict=True):
        axes.text(
            across, up, text, fontsize=9 if crowded else 13, ha="center", va="center", **style
        )
    axes.grid(alpha=0.3)
    axes.set_aspect("equal", adjustable="datalim")
    return figure
