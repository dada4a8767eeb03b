"""Training: a generator of records, which the commands print."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from functools import partial

from msgspec.structs import replace

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.splits import BOTH
from makemore_export.evaluation.likelihood import evaluated, finite_or_none, mean_nll
from makemore_export.models import Model
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Evaluation, Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.kinds import training_of
from makemore_export.training.monitor import elapsed
from makemore_export.training.refit import refit, trained_on


def train(
    model: Model,
    run: Run,
    splits: Mapping[str, EncodedStrings],
    folder: RunFolder,
    start: Checkpoint | None = None,
) -> Generator[Step | Record, None, None]:
    """Trains `model` in place; it ends with the weights of the lowest dev loss (train, if no dev),
    or with those of the run's refit.

    splits: the strings of train and perhaps of dev and test, on the device of the model.
    start: the run's `RunFolder.latest()`, to go on from it; what follows is bit for bit what an
      uninterrupted run would have done, where the arithmetic of the machine repeats itself.

    Every random draw of a step is a function of seed and step. While a record is looked at, the
    model has the weights that the record is about, but for those of a refit before its end, which
    are of another model. Closing the generator saves the last checkpoint
    first. `TrainingError` if the loss stops being a number, `OptionError` for an option that this
    machine or device cannot do.
    """
    if start and start.progress.finished:
        model.load_state_dict(start.weights)
        if run.refit or start.progress.losses.keys() >= splits.keys():
            return
        progress = start.progress  # of a sweep, which leaves test to the run that is chosen
    elif run.refit:
        choose = training_of(run.model)
        progress = yield from refit(model, run, splits, folder, start, choose, train)
        both = trained_on(splits)
        splits = {BOTH: both.pop("train"), **both}
    else:
        progress = yield from training_of(run.model)(model, run, splits, folder, start, train)
    began = time.monotonic() - progress.seconds
    yield distributed.shared(partial(_finish, model, run, splits, folder, progress, began))


def _finish(
    model: Model,
    run: Run,
    splits: Mapping[str, EncodedStrings],
    folder: RunFolder,
    progress: Progress,
    began: float,
) -> Evaluation:
    some = {name: evaluated(strings) for name, strings in splits.items()}
    losses = {name: finite_or_none(mean_nll(model, strings)) for name, strings in some.items()}
    if run.refit:
        losses |= progress.losses
    seconds = elapsed(began)
    record = Evaluation(
        model=run.model,
        step=progress.step,
        losses=losses,
        lines={name: len(each) for name, each in some.items() if len(each) < len(splits[name])},
        best=True,
        finished=True,
        seconds=seconds,
    )
    size = folder.append(record)
    progress = replace(progress, losses=losses, seconds=seconds, log_bytes=size, finished=True)
    checkpoint.save(folder.best, Checkpoint(run=run, progress=progress, weights=model.state_dict()))
    return record
