"""How a model is trained by gradient descent."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from functools import partial

from msgspec.structs import replace

from makemore_export.configs.recipe import Recipe
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models import Model
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.monitor import Monitor
from makemore_export.training.optimizer import rate
from makemore_export.training.optimizer_step import OptimizerStep
from makemore_export.training.start import open_log

EVALUATE_EVERY = 250
"""Steps from one evaluation, and last checkpoint, to the next."""


def descend(
    model: Model,
    run: Run,
    splits: Mapping[str, EncodedStrings],
    folder: RunFolder,
    start: Checkpoint | None,
    _: object,
) -> Generator[Step | Record, None, Progress]:
    """Takes the steps of the run's recipe; the model ends with the weights of the lowest loss, or
    those of `stop_at`.
    """
    began = time.monotonic() - (start.progress.seconds if start else 0)
    optimizer = OptimizerStep(model, run, splits["train"], start)
    open_log(folder, start)
    monitor = Monitor(run, optimizer, splits, folder, began)
    progress = yield from _optimize(optimizer, monitor, run.model, start)
    model.load_state_dict(checkpoint.load(folder.best).weights)
    return progress


def _optimize(
    optimizer: OptimizerStep, monitor: Monitor, model: str, start: Checkpoint | None
) -> Generator[Step | Record, None, Progress]:
    recipe = optimizer.recipe
    if start:
        progress = start.progress
    else:
        first, progress = distributed.shared(monitor.start)
        yield first
    try:
        while progress.step < recipe.last_step and not _stale(progress, recipe):
            step = progress.step + 1
            optimizer.step(step, rate(step, recipe))
            progress = replace(progress, step=step)
            if step % EVALUATE_EVERY and step != recipe.last_step:
                yield Step(
                    model=model,
                    step=step,
                    tokens=optimizer.tokens_of_step,
                    loss=optimizer.running_loss,
                )
                continue
            losses, running_loss = optimizer.step_losses(), optimizer.mean_loss()
            evaluate = partial(monitor.evaluate, progress, running_loss, losses)
            record, progress = distributed.shared(evaluate)
            with optimizer.averaged():
                yield record
    except GeneratorExit:
        if distributed.rank() == 0:
            monitor.save(progress)
        raise
    return progress


def _stale(progress: Progress, recipe: Recipe) -> bool:
    return 0 < recipe.patience <= progress.waited
