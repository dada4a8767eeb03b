"""The activations of a model while it reads a string."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from makemore.artifact import StateSpec
from makemore.vocabulary import STOP
from matplotlib.figure import Figure
from torch import Tensor

from makemore_export.models import Model
from makemore_export.models.transformer import Transformer
from makemore_export.plots.figure import new_figure, set_figure_title, set_ticks, set_title

_LARGEST = 40  # tokens to label on the axes of an attention map


@torch.inference_mode()
def attention(model: Transformer, ids: Sequence[int]) -> Tensor:
    """What each position reads of each: weights (L, H, T, T), T the start and the n tokens.

    Row i of a map sums to 1, and is 0 right of column i.
    """
    seen: list[Tensor] = []
    layers = [block.get_submodule("attention") for block in model.blocks]
    hooks = [layer.register_forward_hook(lambda *call: seen.append(call[2])) for layer in layers]
    try:
        model.eval()
        model(torch.tensor([[STOP, *ids]]))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack([_weights(qkv[0], model.config.n_head) for qkv in seen])


def _weights(qkv: Tensor, heads: int) -> Tensor:
    """From queries, keys and values side by side (T, 3 C) to (H, T, T)."""
    time = len(qkv)
    query, key, _ = qkv.view(time, 3, heads, -1).permute(1, 2, 0, 3)  # each (H, T, D)
    scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    weights: Tensor = scores.masked_fill(future, -torch.inf).softmax(-1)
    return weights


def attention_plot(weights: Tensor, labels: Sequence[str], title: str) -> Figure:
    """A map for each of `weights` (L, H, T, T): layers from top to bottom, heads side by side."""
    layers, heads, time, _ = weights.shape
    side = min(max(2.0, 0.19 * time), 6.0)
    figure = new_figure(side * heads + 1.5, side * layers + 1.2)
    set_figure_title(figure, title)
    grid = figure.subplots(layers, heads, squeeze=False)
    for layer, row in enumerate(grid):
        for head, axes in enumerate(row):
            image = axes.imshow(weights[layer, head].numpy(), cmap="Blues", vmin=0, vmax=1)
            set_title(axes, f"layer {layer + 1}, head {head + 1}")
            shown = labels if time <= _LARGEST else []
            set_ticks(axes, "x", shown if layer == layers - 1 else [], 7)
            set_ticks(axes, "y", shown if head == 0 else [], 7)
    figure.supxlabel("token that is read")
    figure.supylabel("token that reads")
    figure.colorbar(image, ax=grid, label="attention weight", shrink=0.6)
    return figure


@torch.inference_mode()
def activations(model: Model, ids: Sequence[int]) -> dict[str, Tensor]:
    """What a model holds after the start and after each token: (n + 1, units) by name.

    Its states that are float32 and have one axis; without any, what its head reads, if it has one.
    """
    model.eval()
    specs = model.states()
    if not any(_is_vector(spec) for spec in specs):
        return _read_by_head(model, ids)
    state = [torch.zeros(1, *spec.shape, dtype=getattr(torch, spec.dtype)) for spec in specs]
    rows = []
    for position, token in enumerate([STOP, *ids]):
        _, *state = model.step(torch.tensor([token]), torch.tensor([position]), *state)
        rows.append(state)
    return {
        spec.name: torch.cat([row[i] for row in rows])
        for i, spec in enumerate(specs)
        if _is_vector(spec)
    }


def _is_vector(spec: StateSpec) -> bool:
    return spec.dtype == "float32" and len(spec.shape) == 1


def _read_by_head(model: Model, ids: Sequence[int]) -> dict[str, Tensor]:
    head = getattr(model, "head", None)
    if head is None:
        return {}
    read: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    try:
        model(torch.tensor([[STOP, *ids]]))
    finally:
        hook.remove()
    return {"before the head": read[0][0]}


def activation_plot(states: dict[str, Tensor], labels: Sequence[str], title: str) -> Figure:
    """A heat map of each state (T, units): a column for each token, a row for each unit."""
    time = len(labels)
    width = min(max(3.0, 0.25 * time), 12.0)
    figure = new_figure(width * len(states) + 1.5, 7)
    set_figure_title(figure, title)
    for axes, (name, values) in zip(
        figure.subplots(1, len(states), squeeze=False)[0], states.items(), strict=True
    ):
        bound = max(float(values.abs().max()), 1e-9)
        image = axes.imshow(
            values.T.numpy(),
            cmap="PuOr",
            vmin=-bound,
            vmax=bound,
            aspect="auto",
            interpolation="nearest",
        )
        set_title(axes, name)
        set_ticks(axes, "x", labels)
        axes.set_xlabel("token just read")
        axes.set_ylabel("unit")
        figure.colorbar(image, ax=axes, label="activation")
    return figure
