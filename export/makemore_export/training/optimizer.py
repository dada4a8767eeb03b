"""What takes the steps of a training, and how large they are."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import SGD, AdamW, Optimizer

from makemore_export.configs.recipe import Recipe
from makemore_export.training.parameter_buffer import ParameterBuffer


def rate(step: int, recipe: Recipe) -> float:
    """The learning rate of step number `step`, from 1.

    It rises linearly for `warm_up` steps, but at most a tenth of all. Then it falls, by the
    schedule: along a cosine to 0 (Loshchilov & Hutter, 2017, "SGDR", section 3, without restarts),
    to a tenth at half and again at three quarters of all steps, or not at all.
    """
    peak = min(recipe.warm_up, recipe.max_steps // 10) + 1
    if step < peak:
        return recipe.learning_rate * step / peak
    factor = 1.0
    if recipe.schedule == "cosine":
        factor = (1 + math.cos(math.pi * (step - peak) / (recipe.max_steps + 1 - peak))) / 2
    elif recipe.schedule == "step":
        factor = 0.1 ** ((step > recipe.max_steps * 0.5) + (step > recipe.max_steps * 0.75))
    return recipe.learning_rate * factor


def new_optimizer(
    decayed: list[ParameterBuffer], free: list[ParameterBuffer], recipe: Recipe
) -> Optimizer:
    """AdamW (Loshchilov & Hutter, 2019, "Decoupled Weight Decay Regularization"), or SGD.

    SGD has Nesterov's momentum, unless that is 0, as in Sutskever et al. (2013), "On the importance
    of initialization and momentum in deep learning", section 2. Biases and gains of norms do not
    decay.
    """
    groups: list[dict[str, Any]] = [
        {"params": [buffer.tensor for buffer in decayed]},
        {"params": [buffer.tensor for buffer in free], "weight_decay": 0.0},
    ]
    decay = recipe.weight_decay
    if recipe.optimizer == "adamw":
        return AdamW(groups, betas=(0.9, 0.99), weight_decay=decay, fused=True)
    momentum = 0.9 if recipe.momentum is None else recipe.momentum
    return SGD(groups, momentum=momentum, nesterov=momentum > 0, weight_decay=decay, fused=True)
