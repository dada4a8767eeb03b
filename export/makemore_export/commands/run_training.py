"""A run of training as the commands do it: planned from options, shown on stderr, interruptible."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from itertools import chain
from types import FrameType
from typing import Any, NamedTuple

import click
import torch
from makemore.commands.command import INTERRUPTED
from makemore.commands.terminal import as_one_line
from msgspec.structs import replace

from makemore_export.commands.progress_display import (
    ProgressDisplay,
    cost_line,
    evaluation_line,
    refit_line,
    size_line,
    start_line,
    summary,
    warnings,
)
from makemore_export.commands.run_planning import PlannedRun
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.lines import Lines
from makemore_export.data.splits import BOTH
from makemore_export.data.text import Text
from makemore_export.evaluation.memorisation import memorised
from makemore_export.evaluation.novelty import measure
from makemore_export.models import Model
from makemore_export.packing.eager import describe, eager_sampler
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Evaluation, Record, Refit, Start, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.choices import choices_of
from makemore_export.training.closing import closing_seconds, steps_seconds
from makemore_export.training.devices import find_device
from makemore_export.training.loop import train
from makemore_export.training.refit import trained_on
from makemore_export.training.start import check_memory, initial_model
from makemore_export.training.tensorboard import Scalars

_SAMPLES = 8  # shown at each evaluation
_SHOWN = 200  # characters of each


class Job(NamedTuple):
    """What is trained, as the options say."""

    text: Text
    run: Run
    lines: dict[str, Lines]
    splits: dict[str, EncodedStrings]
    model: Model
    device: str


def job_of(planned: PlannedRun, options: Mapping[str, Any]) -> Job:
    """What a run trains, with the weights of before the first step.

    options: `device` and `threads` of the command line, and others.
    """
    device = find_device(options["device"])
    check_memory(planned.run)
    if threads := options.get("threads"):
        torch.set_num_threads(threads)
    text, run, lines = planned
    vocabulary = run.vocabulary
    splits = {name: EncodedStrings(split, vocabulary, device) for name, split in lines.items()}
    return Job(text, run, lines, splits, initial_model(run, device), device)


def run_training(
    planned: PlannedRun,
    folder: RunFolder,
    options: Mapping[str, Any],
    *,
    again: str,
    tensorboard: bool = False,
    as_json: bool = False,
) -> Checkpoint:
    """Trains to the end, from where the run in `folder` stands, with progress on stderr; returns
    the best.

    options: as `job_of` takes them.
    again: the command that goes on after Ctrl-C, to show.
    as_json: progress is lines of JSON.
    """
    start = distributed.shared(folder.latest)
    job = job_of(planned, options)
    run, first = job.run, distributed.rank() == 0
    scalars = Scalars(folder.path / "tensorboard") if tensorboard and first else None
    with (
        _display(job, start, as_json=as_json) as display,
        closing(train(job.model, run, job.splits, folder, start)) as records,
        interrupts() as interrupted,
        scalars or nullcontext(),
    ):
        try:
            for record in records:
                if scalars and not isinstance(record, Step):
                    scalars.add(record)
                if first:
                    _show(display, record, job)
                if distributed.anywhere(interrupted.after(record)):
                    records.close()
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            display.show(f"interrupted; to go on: {again}")
            raise click.exceptions.Exit(INTERRUPTED) from None
    best = checkpoint.load(folder.best)
    return best if best.progress.novelty or not first else _with_novelty(best, job, folder)


def _display(job: Job, start: Checkpoint | None, *, as_json: bool) -> ProgressDisplay:
    """A display that has said what is trained on what, and what it takes."""
    run, first = job.run, distributed.rank() == 0
    trainings = 2 if run.refit else 1
    steps = choices_of(run.model).max_steps(run.spec) * trainings
    done = start.progress if start else Progress()
    timed = first and steps and not done.finished
    last = closing_seconds(job.model, job.splits) * trainings if timed else 0.0
    display = ProgressDisplay(steps, done.step, silent=not first, as_json=as_json, closing=last)
    display.show(summary(job.text, run, job.model, job.device))
    if first and not done.finished:
        display.show(size_line(run, job.model, job.splits["train"]))
    for warning in warnings(job.text, run):
        display.show(warning)
    if last:
        stepping = steps_seconds(run, job.model, job.splits["train"]) * trainings
        display.show(cost_line(job.splits, stepping, last))
    return display


def _show(display: ProgressDisplay, record: Step | Record, job: Job) -> None:
    if isinstance(record, Step) or (isinstance(record, Evaluation) and not record.finished):
        display.advance(record)
    if isinstance(record, Refit):
        display.expect(record.steps)
    if isinstance(record, Step):
        return
    if display.as_json:
        display.show_record(record)
        return
    name = "" if record.model == job.run.model else f"{record.model}: "  # of a component
    if isinstance(record, Start):
        display.show(name + start_line(record))
        return
    if isinstance(record, Refit):
        display.show(refit_line(record, job.run))
        return
    display.show(name + evaluation_line(record))
    if not name:
        samples = [_shortened(as_one_line(sample)) for sample in _samples(record, job)]
        long = job.run.level == "word" or job.run.reading.separator is not None
        display.show("  " + ("\n  " if long else ", ").join(samples))


def _shortened(sample: str) -> str:
    return sample if len(sample) <= _SHOWN else sample[: _SHOWN - 3] + "..."


def _with_novelty(best: Checkpoint, job: Job, folder: RunFolder) -> Checkpoint:
    """Adds how much of what the model makes is in the text."""
    sampler = eager_sampler(job.model, describe(job.run, best.progress, job.model), job.device)
    lines: dict[str, Iterable[str]] = {**job.lines}
    splits, known = job.splits, "train"
    if job.run.refit:
        lines["train"] = chain(lines["train"], lines.pop("dev"))
        splits, known = trained_on(splits), BOTH
    novelty = replace(measure(sampler, lines, job.run.seed), known=known)
    if not job.run.keep_duplicates and job.run.level != "word":  # rare words are one token
        losses = {name: loss for name, loss in best.progress.losses.items() if name in splits}
        found = memorised(job.model, splits, losses)
        novelty = replace(novelty, memorised=found and replace(found, known=known))
    progress = replace(best.progress, novelty=novelty)
    best = replace(best, progress=progress)
    checkpoint.save(folder.best, best)
    return best


class Interrupts:
    """Whether Ctrl-C was noted, and whether it raises: after an evaluation nothing is lost by it,
    and the evaluations of all strings, which may take minutes, come then.
    """

    noted = False
    at_once = False

    def after(self, record: Step | Record) -> bool:
        """Whether to stop after a record of a training."""
        self.at_once = not isinstance(record, Step) and distributed.size() == 1
        return self.noted


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Inside, the first Ctrl-C is only noted where a step is under way, so that it is finished; a
    second one raises.
    """
    found = Interrupts()

    def note(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if found.at_once:
            raise KeyboardInterrupt
        found.noted = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, before)


def _samples(record: Evaluation, job: Job) -> list[str]:
    progress = Progress(step=record.step, losses=record.losses)
    artifact = describe(job.run, progress, job.model)
    sampler = eager_sampler(job.model, artifact, job.device)
    longest = min(job.run.max_length, _SHOWN + 1)  # of a list of long lines no more is made
    return sampler.sample(_SAMPLES, seed=job.run.seed, max_length=longest)
