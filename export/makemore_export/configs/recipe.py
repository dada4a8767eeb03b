"""How a model with gradients is trained."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from makemore.errors import OptionError
from msgspec import Meta


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choices of a training; 0 turns clipping, averaging and early stopping off.

    learning_rate: the peak, reached after `warm_up` steps; `schedule` says how it falls from there.
    momentum: of sgd, Nesterov's.
    init: "own", as the model is made, or "normal": every weight and bias from a normal distribution
      with standard deviation `init_scale`, to see what a poor start costs.
    clip: largest norm of the gradient.
    average: decay of the moving average of the weights, which is what is evaluated and kept.
    ngram_targets: see `NgramTargets`.
    patience: evaluations in a row without a better dev loss after which training stops.
    stop_at: the step after which training ends, whatever its losses, and whose weights are kept;
      the learning rate falls as if `max_steps` were taken.
    """

    max_steps: Annotated[int, Meta(ge=1, description="Steps of the optimizer.")] = 7000
    batch_size: Annotated[int, Meta(ge=1, description="Strings a step.")] = 64
    learning_rate: Annotated[float, Meta(gt=0, description="At its peak.")] = 4e-3
    optimizer: Annotated[Literal["adamw", "sgd"], Meta(description="What takes the steps.")] = (
        "adamw"
    )
    momentum: (
        Annotated[float, Meta(ge=0, lt=1, description="Of sgd; 0: none.  [default: 0.9]")] | None
    ) = None
    init: Annotated[
        Literal["own", "normal"],
        Meta(
            description="How weights begin: as the model does, or all from a normal distribution."
        ),
    ] = "own"
    init_scale: (
        Annotated[float, Meta(ge=0, description="Its standard deviation.  [default: 1]")] | None
    ) = None
    schedule: Annotated[
        Literal["cosine", "step", "constant"], Meta(description="How the learning rate falls.")
    ] = "cosine"
    warm_up: Annotated[int, Meta(ge=0, description="Steps in which the learning rate rises.")] = 200
    weight_decay: Annotated[float, Meta(ge=0, description="On matrices.")] = 0.1
    clip: Annotated[float, Meta(ge=0, description="Largest norm of the gradient; 0: any.")] = 1.0
    average: Annotated[
        float,
        Meta(ge=0, lt=1, description="Decay of the moving average of the weights; 0: none."),
    ] = 0.999
    ngram_targets: Annotated[
        float,
        Meta(
            ge=0,
            lt=1,
            description="Share of a 6-gram's probabilities in what each step aims at; 0: none.",
        ),
    ] = 0.0
    patience: Annotated[
        int,
        Meta(
            ge=0,
            description="Stop after so many evaluations without a better dev loss; 0: never.",
        ),
    ] = 5
    stop_at: (
        Annotated[
            int,
            Meta(
                ge=1,
                description="Keep the weights of this step.  [default: those of the best dev loss]",
            ),
        ]
        | None
    ) = None
    precision: Annotated[
        Literal["float32", "bfloat16"], Meta(description="Of the matrix products in training.")
    ] = "float32"
    compile: Annotated[bool, Meta(description="Train through torch.compile.")] = False

    @property
    def last_step(self) -> int:
        """The step after which training ends at the latest."""
        return self.max_steps if self.stop_at is None else self.stop_at

    def __post_init__(self) -> None:
        if self.stop_at is not None and self.stop_at > self.max_steps:
            raise OptionError(f"stop_at {self.stop_at:,} is above max_steps {self.max_steps:,}")
        if self.momentum is not None and self.optimizer != "sgd":
            raise OptionError(f"momentum {self.momentum:g} is for optimizer sgd")
        if self.init_scale is not None and self.init != "normal":
            raise OptionError(f"init_scale {self.init_scale:g} is for init normal")
