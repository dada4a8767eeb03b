"""What `mm-train --sweep` does: a run for each value of an option, a table and a plot."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import msgspec
from makemore.commands.command import INTERRUPTED
from makemore.errors import TrainingError
from msgspec.structs import replace

from makemore_export.commands.progress_display import ProgressDisplay, evaluation_line, tell
from makemore_export.commands.run_planning import plan_run
from makemore_export.commands.run_training import Interrupts, Job, interrupts, job_of
from makemore_export.data.text import Text
from makemore_export.runs import checkpoint
from makemore_export.runs.atomic_files import write_file
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.runs.records import Evaluation, Step
from makemore_export.runs.run import Progress
from makemore_export.runs.target_lock import locked
from makemore_export.training.choices import choices_of
from makemore_export.training.loop import train
from makemore_export.training.sweep import Sweep, SweepRun, best_of, table


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result: the value with the lowest dev loss, all runs, and the files."""

    option: str
    best: str
    runs: list[SweepRun]
    files: list[str]


def run_sweep(
    contents: Text,
    path: Path | None,
    out: Path,
    options: Mapping[str, Any],
    sweep: Sweep,
    *,
    as_json: bool,
) -> None:
    """Trains a run for each value; those that a stopped sweep left in `out` are gone on with.

    path: of the text, to show the command that goes on.
    """
    with locked(out), interrupts() as interrupted:
        runs = [
            run_value(contents, out, options, {sweep.option: value}, interrupted, as_json=as_json)
            for value in sweep.values
        ]
    lines = out / "sweep.jsonl"
    keep(lines, runs)
    best = best_of(runs)
    files = [str(lines), *_plotted(out / "sweep.png", sweep, runs, as_json=as_json)]
    if as_json:
        found = Swept(option=sweep.option, best=best.value, runs=runs, files=files)
        click.echo(msgspec.json.encode(found))
        return
    click.echo(table(sweep, runs))
    show_files(files, best, path)


def show_files(files: Sequence[str], best: SweepRun, path: Path | None) -> None:
    """Where everything is, and what tests the best run of a text at `path`."""
    click.echo(f"files: {', '.join(files)}", err=True)
    again = ["mm-train", *([str(path)] if path else []), "-o", best.folder, "--resume"]
    click.echo(f"its test loss, once it is chosen: {shlex.join(again)}", err=True)


def run_value(
    text: Text,
    out: Path,
    options: Mapping[str, Any],
    chosen: Mapping[str, str],
    interrupted: Interrupts,
    *,
    as_json: bool,
) -> SweepRun:
    """The run of the values `chosen` by option, trained or, if `out` has it, gone on with.

    Its losses are None where training diverges, so that the other values are still compared.
    """
    name = ",".join(f"{option}={value}" for option, value in chosen.items())
    folder = RunFolder(out / name)
    start = folder.latest()
    old = start.run if start else None
    planned = plan_run(text, folder.path, old, {**options, **chosen, "refit": False}, old)
    job = job_of(planned, options)
    job.splits.pop("test", None)
    steps = choices_of(job.run.model).max_steps(job.run.spec)
    with (
        ProgressDisplay(steps, start.progress.step if start else 0, as_json=as_json) as display,
        closing(train(job.model, job.run, job.splits, folder, start)) as records,
    ):
        try:
            for record in records:
                _show(display, record, job, name)
                if interrupted.after(record):
                    records.close()
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            display.show("interrupted; the same command goes on")
            raise click.exceptions.Exit(INTERRUPTED) from None
        except TrainingError as error:
            display.show(f"{name}: {error}")
            last = folder.latest()
            progress = replace(last.progress if last else Progress(), losses={})
        else:
            progress = checkpoint.load(folder.best).progress
    return SweepRun(
        value=next(iter(chosen.values())) if len(chosen) == 1 else name,
        train=progress.losses.get("train"),
        dev=progress.losses.get("dev"),
        steps=progress.step,
        seconds=progress.seconds,
        folder=str(folder.path),
    )


def _show(display: ProgressDisplay, record: Any, job: Job, name: str) -> None:
    finished = isinstance(record, Evaluation) and record.finished
    if isinstance(record, (Step, Evaluation)) and not finished:
        display.advance(record)
    if isinstance(record, Evaluation) and finished and record.model == job.run.model:
        display.show(f"{name}: {evaluation_line(record)}")


def keep(path: Path, runs: Sequence[SweepRun]) -> None:
    """Writes a line of JSON a run."""
    write_file(path, b"".join(msgspec.json.encode(run) + b"\n" for run in runs))


def _plotted(path: Path, sweep: Sweep, runs: Sequence[SweepRun], *, as_json: bool) -> list[str]:
    """Draws a sweep if there is matplotlib; the files that are made."""
    try:
        from makemore_export.plots import save_png, sweep_plot  # noqa: PLC0415
    except ImportError:
        tell("for a plot of the sweep: pip install matplotlib", as_json=as_json)
        return []
    save_png(sweep_plot(sweep.option, [(run.value, run.train, run.dev) for run in runs]), path)
    return [str(path)]
