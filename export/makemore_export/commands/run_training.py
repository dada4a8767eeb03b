"""A run of training as the commands do it: planned from options, shown on stderr, interruptible."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, NamedTuple

import click
import torch
from makemore.commands.command import INTERRUPTED
from makemore.commands.terminal import as_one_line
from makemore.errors import OptionError
from msgspec.structs import replace

from makemore_export.commands.progress_display import (
    ProgressDisplay,
    cost_line,
    evaluation_line,
    size_line,
    start_line,
    summary,
    warnings,
)
from makemore_export.commands.run_options import planned
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.lines import Lines
from makemore_export.data.reading import Reading
from makemore_export.data.text import Text
from makemore_export.evaluation.novelty import measure, memorised
from makemore_export.models import Model
from makemore_export.packing.eager import describe, eager_sampler
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Evaluation, Record, Start, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.closing import closing_seconds, steps_seconds
from makemore_export.training.kinds import kind_of
from makemore_export.training.loop import train
from makemore_export.training.plan import differences
from makemore_export.training.start import initial_model
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


def plan_job(
    text: Text,
    folder: RunFolder,
    start: Checkpoint | None,
    options: Mapping[str, Any],
    old: Run | None,
) -> Job:
    """What `run_training` would train, with the weights of before the first step."""
    of_text = Reading.__struct_fields__
    given = {name: v for name, v in options.items() if v is not None and name not in of_text}
    device = find_device(given.pop("device"))
    if threads := given.pop("threads", None):
        torch.set_num_threads(threads)
    if start and text.sha256 != start.run.data.sha256:
        raise OptionError(
            f"{folder.path}: holds the run of another text: {start.run.data.name}, SHA-256 "
            f"{start.run.data.sha256}; that of {text.name} is {text.sha256}"
        )
    if start and (other := start.run.reading.differences(text.reading)):
        raise OptionError(f"{folder.path}: holds another run: {'; '.join(other)}")
    run, lines = planned(text, given, old)
    if start and (other := differences(start.run, run)):
        raise OptionError(f"{folder.path}: holds another run: {'; '.join(other)}")
    if start:
        run = start.run  # with the name that its text had, so that all its checkpoints agree
    vocabulary = run.vocabulary
    splits = {name: EncodedStrings(split, vocabulary, device) for name, split in lines.items()}
    return Job(text, run, lines, splits, initial_model(run, device), device)


def find_device(name: str) -> str:
    """The device to train on for an option `--device`; `OptionError` where there is none."""
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if has[device])
    if not has[name]:
        raise OptionError(f"device {name!r} cannot be had: PyTorch {torch.__version__} finds none")
    return name


def run_training(
    text: Text,
    folder: RunFolder,
    start: Checkpoint | None,
    options: Mapping[str, Any],
    *,
    old: Run | None,
    again: str,
    tensorboard: bool = False,
    as_json: bool = False,
) -> Checkpoint:
    """Trains to the end, from `start` or afresh, with progress on stderr; returns the best.

    options: values of `run_options`; None stands for the option of `old`, else for the default.
    again: the command that goes on after Ctrl-C, to show.
    as_json: progress is lines of JSON.
    `OptionError` where the text or an option is not that of `start`.
    """
    job = plan_job(text, folder, start, options, old)
    run, first = job.run, distributed.rank() == 0
    records = train(job.model, run, job.splits, folder, start)
    scalars = Scalars(folder.path / "tensorboard") if tensorboard and first else None
    with (
        _display(job, start, as_json=as_json) as display,
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
    steps = kind_of(run.model).choices.max_steps(run.spec)
    done = start.progress if start else Progress()
    timed = first and steps and not done.finished
    closing = closing_seconds(job.model, job.splits) if timed else 0.0
    display = ProgressDisplay(steps, done.step, silent=not first, as_json=as_json, closing=closing)
    display.show(summary(job.text, run, job.model, job.device))
    if first and not done.finished:
        display.show(size_line(run, job.model, job.splits["train"]))
    for warning in warnings(job.text, run):
        display.show(warning)
    if closing:
        stepping = steps_seconds(run, job.model, job.splits["train"])
        display.show(cost_line(job.splits, stepping, closing))
    return display


def _show(display: ProgressDisplay, record: Step | Record, job: Job) -> None:
    if isinstance(record, Step) or (isinstance(record, Evaluation) and not record.finished):
        display.advance(record)
    if isinstance(record, Step):
        return
    if display.as_json:
        display.show_record(record)
        return
    name = "" if record.model == job.run.model else f"{record.model}: "  # of a component
    if isinstance(record, Start):
        display.show(name + start_line(record))
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
    novelty = measure(sampler, job.lines, job.run.seed)
    if not job.run.keep_duplicates and job.run.level != "word":  # rare words are one token
        known = memorised(job.model, job.splits, best.progress.losses)
        novelty = replace(novelty, memorised=known)
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
    return eager_sampler(job.model, artifact, job.device).sample(_SAMPLES, seed=job.run.seed)
