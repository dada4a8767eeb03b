"""How a model with gradients is trained."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choices of a training; 0 turns clipping, averaging and early stopping off.

    learning_rate: the peak, reached after `warm_up` steps; `schedule` says how it falls from there.
    clip: largest norm of the gradient.
    average: decay of the moving average of the weights, which is what is evaluated and kept.
    patience: evaluations in a row without a better dev loss after which training stops.
    """

    max_steps: Positive = 7000
    batch_size: Positive = 64
    learning_rate: Annotated[float, Meta(gt=0)] = 4e-3
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    warm_up: Count = 200
    weight_decay: Annotated[float, Meta(ge=0)] = 0.1
    clip: Annotated[float, Meta(ge=0)] = 1.0
    average: Annotated[float, Meta(ge=0, lt=1)] = 0.999
    patience: Count = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
