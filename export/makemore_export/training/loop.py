"""Training: a generator of records, which the commands print."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from functools import partial

import msgspec
import torch
from msgspec.structs import replace

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import log_likelihoods, mean_nll
from makemore_export.models import Blend, CountingModel, Model
from makemore_export.models.blend import mixture_weights
from makemore_export.models.recipe import Recipe
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Evaluation, Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.monitor import Monitor, elapsed, finite_or_none
from makemore_export.training.optimizer_step import OptimizerStep, rate, seeded

EVALUATE_EVERY = 250
"""Steps from one evaluation, and last checkpoint, to the next."""


def initial_model(run: Run, device: str = "cpu") -> Model:
    """The run's model with the weights that its seed gives, the same on every device."""
    with seeded(torch.device("cpu"), run.seed, 0):
        model = run.new_model()
    return model.to(device)


def train(
    model: Model,
    run: Run,
    parts: Mapping[str, EncodedStrings],
    folder: RunFolder,
    start: Checkpoint | None = None,
) -> Generator[Step | Record, None, None]:
    """Trains `model` in place; it ends with the weights of the lowest dev loss (train, if no dev).

    parts: the strings of train and perhaps of dev and test, on the device of the model.
    start: the run's `RunFolder.latest()`, to go on from it; what follows is bit for bit what an
      uninterrupted run would have done, where the arithmetic of the machine repeats itself.

    Every random draw of a step is a function of seed and step. While a record is looked at, the
    model has the weights that the record is about. Closing the generator saves the last checkpoint
    first. `TrainingError` if the loss stops being a number, `OptionError` for an option that this
    machine or device cannot do.
    """
    progress = start.progress if start else Progress()
    if start and progress.finished:
        model.load_state_dict(start.weights)
        return
    began = time.monotonic() - progress.seconds
    optimizer = OptimizerStep(model, run, parts["train"], start) if run.recipe else None
    if distributed.rank() == 0:
        folder.open(progress.log_bytes)
    if optimizer:
        monitor = Monitor(run, optimizer, parts, folder, began)
        progress = yield from _optimize(optimizer, monitor, run.model, start)
        model.load_state_dict(checkpoint.load(folder.best).weights)
    elif isinstance(model, Blend):
        progress = yield from _blend(model, run, parts, folder)
        began = time.monotonic() - progress.seconds
    elif isinstance(model, CountingModel):
        progress = replace(progress, fitted=model.fit(parts["train"], parts.get("dev")))
    yield distributed.shared(partial(_finish, model, run, parts, folder, progress, began))


def _blend(
    blend: Blend, run: Run, parts: Mapping[str, EncodedStrings], folder: RunFolder
) -> Generator[Step | Record, None, Progress]:
    """Trains each model of a blend in a run folder of its own, then weighs them on dev."""
    if distributed.rank() == 0:  # so that there is a run to resume
        checkpoint.save(folder.last, Checkpoint(run=run, progress=Progress(), weights={}))
    steps, seconds = 0, 0.0
    for i, (model, component) in enumerate(zip(blend.models(), blend.config.parts, strict=True)):
        component_run = replace(run, **msgspec.structs.asdict(component), seed=run.seed + i)
        model.load_state_dict(initial_model(component_run).state_dict())
        component_folder = RunFolder(folder.path / "parts" / f"{i}-{component.model}")
        start = distributed.shared(component_folder.latest)
        yield from train(model, component_run, parts, component_folder, start)
        trained = checkpoint.load(component_folder.best).progress
        steps, seconds = steps + trained.step, seconds + trained.seconds
    if "dev" in parts:
        log_probs = [log_likelihoods(model, parts["dev"]) for model in blend.models()]
        blend.weights.copy_(mixture_weights(torch.stack(log_probs)))
    weights = [round(weight, 4) for weight in blend.weights.tolist()]
    return Progress(step=steps, seconds=seconds, fitted={"weights": weights})


def _finish(
    model: Model,
    run: Run,
    parts: Mapping[str, EncodedStrings],
    folder: RunFolder,
    progress: Progress,
    began: float,
) -> Evaluation:
    losses = {part: finite_or_none(mean_nll(model, strings)) for part, strings in parts.items()}
    seconds = elapsed(began)
    record = Evaluation(
        model=run.model,
        step=progress.step,
        losses=losses,
        best=True,
        finished=True,
        seconds=seconds,
    )
    size = folder.append(record)
    progress = replace(progress, losses=losses, seconds=seconds, log_bytes=size, finished=True)
    checkpoint.save(folder.best, Checkpoint(run=run, progress=progress, weights=model.state_dict()))
    return record


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
        while progress.step < recipe.max_steps and not _stale(progress, recipe):
            step = progress.step + 1
            optimizer.step(step, rate(step, recipe))
            progress = replace(progress, step=step)
            if step % EVALUATE_EVERY and step != recipe.max_steps:
                yield Step(model=model, step=step)
                continue
            running_loss = optimizer.mean_loss()
            record, progress = distributed.shared(partial(monitor.evaluate, progress, running_loss))
            with optimizer.averaged():
                yield record
    except GeneratorExit:
        if distributed.rank() == 0:
            monitor.save(progress)
        raise
    return progress


def _stale(progress: Progress, recipe: Recipe) -> bool:
    return 0 < recipe.patience <= progress.waited
