"""`mm-train`: a model from a text file, into a run folder."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import click
import msgspec
import torch
from makemore.command import Command
from makemore.errors import OptionError
from msgspec.structs import replace

from makemore_export import checkpoint, distributed
from makemore_export.checkpoint import Checkpoint, Progress, Run, RunFolder
from makemore_export.data import Strings, Text, read_text
from makemore_export.eager import describe, eager_sampler
from makemore_export.find_lr import keep, suggestion, sweep
from makemore_export.models import Model
from makemore_export.novelty import measure
from makemore_export.plan import differences
from makemore_export.records import Evaluation, Start, Step
from makemore_export.run_options import planned, run_options
from makemore_export.screen import Screen, evaluation_line, start_line, summary
from makemore_export.tensorboard import Scalars
from makemore_export.training import initial_model, train

_SAMPLES = 8  # shown at each evaluation
_INTERRUPTED = 130  # the shell's exit code for Ctrl-C


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result: where the best weights are, and their losses by part of the split."""

    checkpoint: str
    model: str
    steps: int
    losses: dict[str, float | None]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result of `--find-lr`: its suggestion, and where the sweep and its plot are."""

    learning_rate: float
    files: list[str]


@click.command(cls=Command)
@click.argument("text", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "out", required=True, type=click.Path(path_type=Path), help="Run folder."
)
@run_options
@click.option("--resume", is_flag=True, help="Go on with the run in the folder, with its options.")
@click.option(
    "--find-lr", is_flag=True, help="Try all learning rates in a short sweep, and suggest one."
)
@click.option("--tensorboard", is_flag=True, help="Write the losses for TensorBoard, too.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object on stdout.")
def main(
    text: Path | None,
    out: Path,
    *,
    resume: bool,
    find_lr: bool,
    tensorboard: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Trains a model on TEXT, one thing per line; without TEXT, on the US names of 2018.

    The run folder holds last.safetensors (to resume), best.safetensors (for mm-export) and
    log.jsonl. Ctrl-C saves the last checkpoint and exits with 130; a bad input exits with 2.

    On several CPUs or GPUs: torchrun --nproc-per-node 2 -m makemore_export.train_command ...
    """
    folder = RunFolder(out)
    start = folder.latest()
    if start and not resume:
        raise OptionError(f"{out}: holds a run already; go on with --resume, or name a new folder")
    if resume and not start:
        raise OptionError(f"{out}: holds no run to resume")
    options["device"] = _device(options["device"])
    with distributed.joined(options["device"]):
        if find_lr:
            _find_lr(text, out, options, as_json=as_json)
            return
        words = ["mm-train", *([str(text)] if text else []), "-o", str(out), "--resume"]
        best = run_training(
            text,
            folder,
            start,
            options,
            old=start.run if start else None,
            again=shlex.join(words),
            tensorboard=tensorboard,
        )
        if distributed.rank() == 0:
            result = Trained(
                checkpoint=str(folder.best),
                model=best.run.model,
                steps=best.progress.step,
                losses=best.progress.losses,
            )
            click.echo(msgspec.json.encode(result) if as_json else f"mm-export {out} -o ARTIFACT")


class _Job(NamedTuple):
    """What the options come to."""

    text: Text
    run: Run
    lines: dict[str, list[str]]
    parts: dict[str, Strings]
    model: Model
    device: str


def run_training(
    text: Path | None,
    folder: RunFolder,
    start: Checkpoint | None,
    options: Mapping[str, Any],
    *,
    old: Run | None,
    again: str,
    tensorboard: bool = False,
) -> Checkpoint:
    """Trains to the end, from `start` or afresh, with progress on stderr; returns the best.

    options: values of `run_options`; None stands for the option of `old`, else for the default.
    again: the command that goes on after Ctrl-C, to show.
    `OptionError` where the text or an option is not that of `start`.
    """
    job = _job(text, folder, start, options, old)
    run, first = job.run, distributed.rank() == 0
    records = train(job.model, run, job.parts, folder, start)
    step = start.progress.step if start else 0
    scalars = Scalars(folder.path / "tensorboard", step + 1) if tensorboard and first else None
    with (
        Screen(run.recipe.max_steps if run.recipe else 0, silent=not first) as screen,
        _interrupts() as interrupted,
        scalars or nullcontext(),
    ):
        screen.show(summary(job.text, run, job.model, job.device))
        for record in records:
            screen.advance(record.step)
            if scalars and not isinstance(record, Step):
                scalars.add(record)
            if isinstance(record, Start):
                screen.show(start_line(record))
            elif isinstance(record, Evaluation) and record.model != run.model:
                screen.show(f"{record.model}: {evaluation_line(record)}")  # a part of a blend
            elif isinstance(record, Evaluation) and first:
                screen.show(evaluation_line(record))
                between = "\n  " if run.level == "word" else ", "
                screen.show("  " + between.join(_samples(record, job)))
            if distributed.anywhere(interrupted()):
                records.close()
                screen.show(f"interrupted; to go on: {again}")
                raise click.exceptions.Exit(_INTERRUPTED)
    best = checkpoint.load(folder.best)
    return best if best.progress.novelty or not first else _with_novelty(best, job, folder)


def _with_novelty(best: Checkpoint, job: _Job, folder: RunFolder) -> Checkpoint:
    """Adds what the text alone can tell: how much of what the model makes is in it."""
    sampler = eager_sampler(job.model, describe(job.run, best.progress, job.model), job.device)
    progress = replace(best.progress, novelty=measure(sampler, job.lines, job.run.seed))
    best = replace(best, progress=progress)
    checkpoint.save(folder.best, best)
    return best


def _find_lr(text: Path | None, out: Path, options: Mapping[str, Any], *, as_json: bool) -> None:
    """Sweeps the learning rate on new weights; nothing of the run is kept but the sweep."""
    if distributed.size() > 1:
        raise OptionError(f"--find-lr is for one process, not for {distributed.size()}")
    job = _job(text, RunFolder(out), None, options, None)
    if job.run.recipe is None:
        raise OptionError(f"--find-lr does not apply to model {job.run.model}: it has no one rate")
    trials = list(sweep(job.model, job.run, job.parts["train"]))
    best = suggestion(trials)
    files = keep(out, trials, best)
    if len(files) == 1:
        click.echo("for a plot of the sweep: pip install 'makemore[plots]'", err=True)
    highest = trials[-1].learning_rate
    click.echo(
        f"rates up to {highest:.2g} in {len(trials)} steps: {', '.join(map(str, files))}", err=True
    )
    found = Found(learning_rate=best, files=[str(file) for file in files])
    click.echo(msgspec.json.encode(found) if as_json else f"--learning-rate {best:.2g}")


def _job(
    text: Path | None,
    folder: RunFolder,
    start: Checkpoint | None,
    options: Mapping[str, Any],
    old: Run | None,
) -> _Job:
    given = {name: value for name, value in options.items() if value is not None}
    device = _device(given.pop("device"))
    if threads := given.pop("threads", None):
        torch.set_num_threads(threads)
    contents = read_text(text, given.pop("encoding"))
    if start and contents.sha256 != start.run.data.sha256:
        raise OptionError(
            f"{folder.path}: holds the run of another text: {start.run.data.name}, SHA-256 "
            f"{start.run.data.sha256}; that of {contents.name} is {contents.sha256}"
        )
    run, lines = planned(contents, given, old)
    if start and (other := differences(start.run, run)):
        raise OptionError(f"{folder.path}: holds another run: {'; '.join(other)}")
    vocabulary = run.vocabulary
    strings = {part: Strings(of_part, vocabulary, device) for part, of_part in lines.items()}
    return _Job(contents, run, lines, strings, initial_model(run, device), device)


def _device(name: str) -> str:
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if has[device])
    if not has[name]:
        raise OptionError(f"device {name!r} cannot be had: PyTorch {torch.__version__} finds none")
    return name


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl-C is only noted, so that a step is never torn; a second one raises."""
    noted = False

    def note(_: int, __: FrameType | None) -> None:
        nonlocal noted
        noted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: noted
    finally:
        signal.signal(signal.SIGINT, before)


def _samples(record: Evaluation, job: _Job) -> list[str]:
    progress = Progress(step=record.step, losses=record.losses)
    artifact = describe(job.run, progress, job.model)
    return eager_sampler(job.model, artifact, job.device).sample(_SAMPLES, seed=job.run.seed)


if __name__ == "__main__":
    main()
