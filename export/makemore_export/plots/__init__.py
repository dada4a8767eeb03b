"""Pictures of a text, a training and a model, as matplotlib figures that need no display."""

from __future__ import annotations

from makemore_export.plots.activations import activation_plot, attention_plot
from makemore_export.plots.counts import bigram_plot
from makemore_export.plots.curves import learning_rate_plot, loss_plot, sweep_plot
from makemore_export.plots.embedding import embedding_plot
from makemore_export.plots.figure import save_png
from makemore_export.plots.surprise import surprise_plot

__all__ = [
    "activation_plot",
    "attention_plot",
    "bigram_plot",
    "embedding_plot",
    "learning_rate_plot",
    "loss_plot",
    "save_png",
    "surprise_plot",
    "sweep_plot",
]
