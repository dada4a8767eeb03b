"""How unexpected each token of a string is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from makemore.vocabulary import STOP
from matplotlib.figure import Figure
from numpy.typing import NDArray

from makemore_export.evaluation.likelihood import bits
from makemore_export.models import Model
from makemore_export.plots.figure import BLUE, ORANGE, new_axes, set_ticks


@torch.inference_mode()
def surprise(model: Model, ids: Sequence[int]) -> NDArray[np.float64]:
    """-log2 p of each token of a string of n, then of the stop: (n + 1,), infinite for p = 0."""
    model.eval()
    logits = model(torch.tensor([[STOP, *ids]]))[0]  # (n + 1, V)
    targets = torch.tensor([*ids, STOP])
    nats = -logits.double().log_softmax(-1).gather(1, targets[:, None])[:, 0]
    values: NDArray[np.float64] = nats.numpy()
    return values / math.log(2)


def surprise_plot(
    values: NDArray[np.float64], labels: Sequence[str], vocab_size: int, title: str, unit: str
) -> Figure:
    """A bar for each of n tokens, in bits; `vocab_size` is that of a model that knows nothing."""
    size = len(values)
    figure, axes = new_axes(min(max(7.0, 0.4 * size), 40.0), 4.5, title, unit, "surprise, bits")
    finite = np.where(np.isfinite(values), values, np.nan)
    uniform = bits(math.log(vocab_size))
    top = 1.2 * max(uniform, float(np.nanmax(finite, initial=0.0)))
    heights = np.where(np.isfinite(values), values, top)
    bars = axes.bar(range(size), heights, color=np.where(np.isfinite(values), BLUE, ORANGE))
    axes.bar_label(bars, ["∞" if math.isinf(v) else f"{v:.1f}" for v in values], fontsize=8)
    axes.axhline(
        uniform,
        color=ORANGE,
        linestyle="--",
        zorder=0,
        label=f"uniform over {vocab_size:,} tokens",
    )
    axes.set_ylim(0, 1.08 * top)
    axes.margins(x=0.02)
    set_ticks(axes, "x", labels)
    axes.legend()
    return figure
