"""`mm-train`: a model from a text file, into a run folder."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec
import torch
from makemore.command import Command
from makemore.errors import OptionError
from makemore.vocabulary import Vocabulary

from makemore_export import checkpoint
from makemore_export.checkpoint import Checkpoint, Progress, Run, RunFolder
from makemore_export.data import Strings, Text, read_text
from makemore_export.eager import describe, eager_sampler
from makemore_export.models import Model
from makemore_export.plan import differences
from makemore_export.run_options import planned, run_options
from makemore_export.screen import Screen
from makemore_export.training import Evaluation, initial_model, train

_SAMPLES = 8  # shown at each evaluation
_INTERRUPTED = 130  # the shell's exit code for Ctrl-C


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result: where the best weights are, and their losses by part of the split."""

    checkpoint: str
    model: str
    steps: int
    losses: dict[str, float | None]


@click.command(cls=Command)
@click.argument("text", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "out", required=True, type=click.Path(path_type=Path), help="Run folder."
)
@run_options
@click.option("--resume", is_flag=True, help="Go on with the run in the folder, with its options.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object on stdout.")
def main(text: Path | None, out: Path, *, resume: bool, as_json: bool, **options: Any) -> None:
    """Trains a model on TEXT, one thing per line; without TEXT, on the US names of 2018.

    The run folder holds last.safetensors (to resume), best.safetensors (for mm-export) and
    log.jsonl. Ctrl-C saves the last checkpoint and exits with 130; a bad input exits with 2.
    """
    folder = RunFolder(out)
    start = folder.latest()
    if start and not resume:
        raise OptionError(f"{out}: holds a run already; go on with --resume, or name a new folder")
    if resume and not start:
        raise OptionError(f"{out}: holds no run to resume")
    again = shlex.join(["mm-train", *([str(text)] if text else []), "-o", str(out), "--resume"])
    best = run_training(text, folder, start, options, old=start.run if start else None, again=again)
    result = Trained(
        checkpoint=str(folder.best),
        model=best.run.model,
        steps=best.progress.step,
        losses=best.progress.losses,
    )
    click.echo(msgspec.json.encode(result) if as_json else f"mm-export {out} -o ARTIFACT")


def run_training(
    text: Path | None,
    folder: RunFolder,
    start: Checkpoint | None,
    options: Mapping[str, Any],
    *,
    old: Run | None,
    again: str,
) -> Checkpoint:
    """Trains to the end, from `start` or afresh, with progress on stderr; returns the best.

    options: values of `run_options`; None stands for the option of `old`, else for the default.
    again: the command that goes on after Ctrl-C, to show.
    `OptionError` where the text or an option is not that of `start`.
    """
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
    run, parts = planned(contents, given, old)
    if start and (other := differences(start.run, run)):
        raise OptionError(f"{folder.path}: holds another run: {'; '.join(other)}")
    vocabulary = Vocabulary(run.characters)
    strings = {part: Strings(lines, vocabulary, device) for part, lines in parts.items()}
    model = initial_model(run, device)
    records = train(model, run, strings, folder, start)
    with Screen(run.recipe.max_steps if run.recipe else 0) as screen, _interrupts() as interrupted:
        screen.show(_summary(contents, run, model, device))
        for record in records:
            screen.advance(record.step)
            if isinstance(record, Evaluation):
                screen.show(_shown(record))
                screen.show("  " + ", ".join(_samples(record, run, model, device)))
            if interrupted():
                records.close()
                screen.show(f"interrupted; to go on: {again}")
                raise click.exceptions.Exit(_INTERRUPTED)
    return checkpoint.load(folder.best)


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


def _summary(text: Text, run: Run, model: Model, device: str) -> str:
    dropped = [
        f"{count:,} {what}"
        for count, what in (
            (text.blank, "blank lines dropped"),
            (text.duplicates, "duplicates kept" if run.keep_duplicates else "duplicates dropped"),
            (text.crlf, "Windows line ends"),
            (int(text.bom), "byte order mark dropped"),
        )
        if count
    ]
    parts = ", ".join(f"{part} {lines:,}" for part, lines in run.data.split.items())
    weights = sum(weight.numel() for weight in model.state_dict().values())
    return (
        f"{text.name}: {'; '.join([f'{run.data.lines:,} lines', *dropped])}; {parts}; "
        f"{len(run.characters)} characters\n{run.model}: {weights:,} weights, on {device}"
    )


def _shown(record: Evaluation) -> str:
    losses = "  ".join(
        f"{part} {'infinite' if loss is None else f'{loss:.4f}'}"
        for part, loss in record.losses.items()
    )
    mark = "best weights, all lines" if record.finished else "best so far" if record.best else ""
    return f"step {record.step:6,}  {losses}  {record.seconds:6.1f} s  {mark}".rstrip()


def _samples(record: Evaluation, run: Run, model: Model, device: str) -> list[str]:
    progress = Progress(step=record.step, losses=record.losses)
    sampler = eager_sampler(model, describe(run, progress, model), device)
    return sampler.sample(_SAMPLES, seed=run.seed)
