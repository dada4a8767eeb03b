"""What `mm-train --find-lr` does: a sweep, its file and its plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from makemore_export.commands.progress_display import tell
from makemore_export.commands.run_planning import PlannedRun
from makemore_export.commands.run_training import job_of
from makemore_export.runs.atomic_files import write_file
from makemore_export.training.find_lr import Trial, suggestion, sweep


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result of `--find-lr`: its suggestion, and where the sweep and its plot are."""

    learning_rate: float
    files: list[str]


def find_learning_rate(
    planned: PlannedRun, out: Path, options: Mapping[str, Any], *, as_json: bool
) -> None:
    """Sweeps the learning rate on new weights; nothing of the run is kept but the sweep."""
    job = job_of(planned, options)
    trials = list(sweep(job.model, job.run, job.splits["train"]))
    best = suggestion(trials)
    files = keep(out, trials, best)
    if len(files) == 1:
        tell("for a plot of the sweep: pip install matplotlib", as_json=as_json)
    tried = f"rates up to {trials[-1].learning_rate:.2g} in {len(trials)} steps"
    tell(f"{tried}: {', '.join(map(str, files))}", as_json=as_json)
    found = Found(learning_rate=best, files=[str(file) for file in files])
    click.echo(msgspec.json.encode(found) if as_json else f"--learning-rate {best:.2g}")


def keep(folder: Path, trials: Sequence[Trial], best: float) -> list[Path]:
    """Writes the sweep, a line of JSON a trial, and a plot of it if there is matplotlib."""
    folder.mkdir(parents=True, exist_ok=True)
    lines, plot = folder / "find_lr.jsonl", folder / "find_lr.png"
    write_file(lines, b"".join(msgspec.json.encode(trial) + b"\n" for trial in trials))
    try:
        from makemore_export.plots import learning_rate_plot, save_png  # noqa: PLC0415
    except ImportError:
        return [lines]
    points = [(trial.learning_rate, trial.smoothed) for trial in trials]
    save_png(learning_rate_plot(points, best), plot)
    return [lines, plot]
