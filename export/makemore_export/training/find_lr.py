"""A learning rate from one short sweep over all plausible ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec
from makemore.errors import TrainingError
from msgspec.structs import replace

from makemore_export.configs.recipe import Recipe
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models import Model
from makemore_export.runs.run import Run
from makemore_export.training.optimizer_step import OptimizerStep

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 300
"""Learning rates of the first and the last step of a sweep, and the number of its steps."""

_MEMORY = 0.9  # of the smoothed loss, a step
_DIVERGED = 4.0  # times the best smoothed loss


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a sweep: its loss before the step, in nats per token, and that smoothed."""

    learning_rate: float
    loss: float
    smoothed: float


def sweep(model: Model, run: Run, strings: EncodedStrings) -> Iterator[Trial]:
    """Trains `model` in place with a rate that grows by the same factor each step.

    Smith, "Cyclical Learning Rates for Training Neural Networks" (2017), section 3.3, with the
    exponential growth, the smoothing and the end of Howard's fastai: where the smoothed loss, a
    moving average without the bias of its start, is 4 times its best, or no number.
    """
    recipe = replace(run.recipe or Recipe(), average=0.0)
    run = replace(run, recipe=recipe)
    optimizer = OptimizerStep(model, run, strings, bucket=1)  # batches of mixed lengths
    total, best = 0.0, math.inf
    for step in range(1, STEPS + 1):
        learning_rate = LOWEST * (HIGHEST / LOWEST) ** ((step - 1) / (STEPS - 1))
        optimizer.step(step, learning_rate)
        loss = optimizer.mean_loss()
        total = _MEMORY * total + (1 - _MEMORY) * loss
        smoothed = total / (1 - _MEMORY**step)
        best = min(best, smoothed)
        if not smoothed <= _DIVERGED * best:  # not a number, too
            return
        yield Trial(learning_rate=learning_rate, loss=loss, smoothed=smoothed)


def suggestion(trials: Sequence[Trial]) -> float:
    """A tenth of the rate with the lowest smoothed loss: the rule of Howard's fastai.

    The other rule, where the loss falls fastest, finds the rate at which a model learns how
    frequent each token is: on names 4e-4 for an LSTM that trains best at ten times that.
    `TrainingError` if the loss never falls.
    """
    best = min(trials, key=lambda trial: trial.smoothed, default=None)
    if best is None or best is trials[0]:
        raise TrainingError(f"no learning rate from {LOWEST:g} to {HIGHEST:g} makes the loss fall")
    return best.learning_rate / 10
