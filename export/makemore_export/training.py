"""Training: a generator of records, which the commands print."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping
from functools import partial
from typing import TypeAlias

import msgspec
import torch
from makemore.errors import OptionError
from msgspec.structs import replace

from makemore_export import checkpoint, distributed
from makemore_export.checkpoint import Checkpoint, Progress, Run, RunFolder
from makemore_export.data import Strings
from makemore_export.descent import Descent, rate, seeded
from makemore_export.evaluation import log_likelihoods, mean_nll
from makemore_export.models import Blend, CountingModel, Model
from makemore_export.models.blend import mixture_weights
from makemore_export.recipe import Recipe

EVALUATE_EVERY = 250
"""Steps from one evaluation, and last checkpoint, to the next."""

_SUBSET = 2000  # strings of a part in an evaluation on the way


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the optimizer was taken by the model of that name."""

    model: str
    step: int


class Start(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="start"):
    """The first line of the log of a model with gradients: how it is initialised.

    `loss` is that of the untrained model, in nats per token, over up to 2,000 strings of train; a
    model that expects all V tokens alike has ln V.
    """

    model: str
    step: int = 0
    loss: float
    vocab_size: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="evaluation"):
    """A line of the log: mean losses in nats per token by part, None where infinite.

    On the way over up to 2,000 strings of train and dev, with `running_loss`, the mean loss of the
    steps since the last evaluation, and `learning_rate`, that of the latest step. The last record
    of a run, `finished`, has the best weights' losses over all strings of all parts. `seconds` have
    gone into the run so far.
    """

    model: str
    step: int
    losses: dict[str, float | None]
    running_loss: float | None = None
    learning_rate: float | None = None
    best: bool
    finished: bool
    seconds: float


Record: TypeAlias = Start | Evaluation
"""A line of `log.jsonl`: `msgspec.json.decode(line, type=Record)`."""


def initial_model(run: Run, device: str = "cpu") -> Model:
    """The run's model with the weights that its seed gives, the same on every device."""
    with seeded(torch.device("cpu"), run.seed, 0):
        model = run.new_model()
    return model.to(device)


def train(
    model: Model,
    run: Run,
    parts: Mapping[str, Strings],
    folder: RunFolder,
    start: Checkpoint | None = None,
) -> Generator[Step | Record, None, None]:
    """Trains `model` in place; it ends with the weights of the lowest dev loss (train, if no dev).

    parts: the strings of train and perhaps of dev and test, on the device of the model.
    start: the run's `RunFolder.latest()`, to go on from it; what follows is bit for bit what an
      uninterrupted run would have done, where the arithmetic of the machine repeats itself.

    Every random draw of a step is a function of seed and step. While a record is looked at, the
    model has the weights that the record tells of. Closing the generator saves the last checkpoint
    first. `OptionError` if the loss stops being a number, or for an option that this machine or
    device cannot do.
    """
    progress = start.progress if start else Progress()
    if start and progress.finished:
        model.load_state_dict(start.weights)
        return
    began = time.monotonic() - progress.seconds
    if distributed.rank() == 0:
        folder.open(progress.log_bytes)
    if isinstance(model, CountingModel):
        fitted = model.fit(parts["train"], parts.get("dev"))
        progress = replace(progress, fitted=fitted)
    elif isinstance(model, Blend):
        progress = yield from _blend(model, run, parts, folder)
    else:
        progress = yield from _descend(model, run, parts, folder, start, began)
        model.load_state_dict(checkpoint.load(folder.best).weights)
    yield distributed.shared(partial(_finish, model, run, parts, folder, progress, began))


def _blend(
    blend: Blend, run: Run, parts: Mapping[str, Strings], folder: RunFolder
) -> Generator[Step | Record, None, Progress]:
    """Trains each model of a blend in a run folder of its own, then weighs them on dev."""
    if distributed.rank() == 0:  # so that there is a run to resume
        checkpoint.save(folder.last, Checkpoint(run=run, progress=Progress(), weights={}))
    steps = 0
    for i, (model, part) in enumerate(zip(blend.models(), blend.config.parts, strict=True)):
        part_run = replace(run, **msgspec.structs.asdict(part), seed=run.seed + i)
        model.load_state_dict(initial_model(part_run).state_dict())
        part_folder = RunFolder(folder.path / "parts" / f"{i}-{part.model}")
        yield from train(model, part_run, parts, part_folder, part_folder.latest())
        steps += checkpoint.load(part_folder.best).progress.step
    if "dev" in parts:
        log_probs = [log_likelihoods(model, parts["dev"]) for model in blend.models()]
        blend.weights.copy_(mixture_weights(torch.stack(log_probs)))
    weights = [round(weight, 4) for weight in blend.weights.tolist()]
    return Progress(step=steps, fitted={"weights": weights})


def _finish(
    model: Model,
    run: Run,
    parts: Mapping[str, Strings],
    folder: RunFolder,
    progress: Progress,
    began: float,
) -> Evaluation:
    losses = {part: _told(mean_nll(model, strings)) for part, strings in parts.items()}
    seconds = _since(began)
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


def _descend(
    model: Model,
    run: Run,
    parts: Mapping[str, Strings],
    folder: RunFolder,
    start: Checkpoint | None,
    began: float,
) -> Generator[Step | Record, None, Progress]:
    recipe = run.recipe or Recipe()
    descent = Descent(model, run, parts["train"], start)
    watch = _Watch(run, descent, parts, folder, began)
    if start:
        progress = start.progress
    else:
        first, progress = distributed.shared(watch.start)
        yield first
    try:
        while progress.step < recipe.max_steps and not _stale(progress, recipe):
            step = progress.step + 1
            descent.step(step, rate(step, recipe))
            progress = replace(progress, step=step)
            if step % EVALUATE_EVERY and step != recipe.max_steps:
                yield Step(model=run.model, step=step)
                continue
            running_loss = descent.mean_loss()
            record, progress = distributed.shared(partial(watch.evaluate, progress, running_loss))
            with descent.averaged():
                yield record
    except GeneratorExit:
        if distributed.rank() == 0:
            watch.save(progress)
        raise
    return progress


class _Watch:
    """Judges a descent on the way, and keeps its log and checkpoints."""

    def __init__(
        self,
        run: Run,
        descent: Descent,
        parts: Mapping[str, Strings],
        folder: RunFolder,
        began: float,
    ) -> None:
        self.run = run
        self.descent = descent
        self.folder = folder
        self.began = began
        self.subsets = {part: parts[part].first(_SUBSET) for part in parts if part != "test"}
        self.judge = "dev" if "dev" in parts else "train"

    def start(self) -> tuple[Start, Progress]:
        loss = mean_nll(self.descent.model, self.subsets["train"])
        size = len(self.run.vocabulary)
        record = Start(model=self.run.model, loss=loss, vocab_size=size)
        progress = Progress(log_bytes=self.folder.append(record))
        self.save(progress)
        return record, progress

    def evaluate(self, progress: Progress, running_loss: float) -> tuple[Evaluation, Progress]:
        """What the weights so far are worth; the averaged ones, if the recipe keeps any."""
        run, step, recipe = self.run, progress.step, self.descent.recipe
        with self.descent.averaged():
            losses = {part: mean_nll(self.descent.model, s) for part, s in self.subsets.items()}
            _check(losses, step, recipe)
            best = progress.best_loss is None or losses[self.judge] < progress.best_loss
            record = Evaluation(
                model=run.model,
                step=step,
                losses={part: _told(loss) for part, loss in losses.items()},
                running_loss=_told(running_loss),
                learning_rate=rate(step, recipe),
                best=best,
                finished=False,
                seconds=_since(self.began),
            )
            size = self.folder.append(record)
            progress = replace(
                progress, losses=record.losses, seconds=record.seconds, log_bytes=size
            )
            if best:
                progress = replace(progress, best_loss=losses[self.judge], waited=0)
                weights = self.descent.model.state_dict()
                kept = Checkpoint(run=run, progress=progress, weights=weights)
                checkpoint.save(self.folder.best, kept)
            else:
                progress = replace(progress, waited=progress.waited + 1)
        self.save(progress)
        return record, progress

    def save(self, progress: Progress) -> None:
        """Writes the last checkpoint."""
        descent = self.descent
        progress = replace(
            progress,
            seconds=_since(self.began),
            nats=descent.nats.item(),
            tokens=descent.tokens,
        )
        last = Checkpoint(
            run=self.run,
            progress=progress,
            weights=descent.model.state_dict(),
            optimizer=descent.optimizer_state(),
            average=descent.average(),
        )
        checkpoint.save(self.folder.last, last)


def _stale(progress: Progress, recipe: Recipe) -> bool:
    return 0 < recipe.patience <= progress.waited


def _check(losses: Mapping[str, float], step: int, recipe: Recipe) -> None:
    for part, loss in losses.items():
        if not math.isfinite(loss):
            raise OptionError(
                f"training diverged: the {part} loss is {loss} at step {step}; "
                f"lower --learning-rate {recipe.learning_rate:g}"
            )


def _told(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
