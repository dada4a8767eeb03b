"""Every model of the table and every preset on one text: how well, how long, how big, how fast.

    python benchmarks/models.py names.txt -o FOLDER

For each, `mm-export TEXT -o FOLDER/MODEL --model MODEL` with default options, in a process of its
own with all cores; then, on one thread, the strings a second of `sample(STRINGS)` and the time of
`sample(1)`, medians. Models that FOLDER holds already are measured again but not trained again.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click
import makemore
import msgspec
from figures import environment, show, strings_per_second
from makemore import Sampler
from makemore_export.data.splits import BEFORE
from makemore_export.models import MODELS
from makemore_export.plots.figure import BLUE, new_axes
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.training.presets import PRESETS

STRINGS = 20_000
CALLS = 1_000
ROUNDS = 25


@click.command()
@click.argument("text", type=click.Path(path_type=Path, exists=True))
@click.option(
    "-o", "out", type=click.Path(path_type=Path), required=True, help="For the artifacts."
)
@click.option("--only", multiple=True, help="These models and presets alone.")
@click.option("--results", type=click.Path(path_type=Path), help="For models.json, models.png.")
def main(text: Path, out: Path, only: tuple[str, ...], results: Path | None) -> None:
    """Trains, exports and measures the models on TEXT."""
    flags = {name: ["--model", name] for name in MODELS if name != "blend"}
    flags |= {name: ["--preset", name] for name in PRESETS}
    rows = []
    for name in only or flags:
        artifact = out / name
        if not artifact.exists():
            command = ["mm-export", str(text), "-o", str(artifact), *flags[name]]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows.append({"model": name, **measured(artifact)})
        print(msgspec.json.encode(rows[-1]).decode(), file=sys.stderr)
    rows.sort(key=lambda row: -row["test"])
    show(rows)
    if results:
        document = {"text": text.name, "environment": environment(), "models": rows}
        (results / "models.json").write_text(json.dumps(document, indent=2) + "\n")
        draw(rows, results / "models.png")


def measured(artifact: Path) -> dict[str, float | None]:
    """The figures of one artifact, and of the run that it was made from."""
    sampler = makemore.load(artifact, threads=1)
    run = RunFolder(artifact.with_name(f"{artifact.name}.run"))
    finished = run.latest()
    losses = sampler.artifact.training.losses
    return {
        "dev": losses[BEFORE if BEFORE in losses else "dev"],
        "test": losses["test"],
        "train s": finished.progress.seconds,
        "weights": sampler.artifact.model.parameters,
        "MB": (artifact / "model.onnx").stat().st_size / 1e6,
        "strings/s": strings_per_second(sampler, STRINGS, ROUNDS),
        "us a string": one(sampler),
    }


def one(sampler: Sampler) -> float:
    """Microseconds of a call for one string."""
    times = []
    for seed in range(CALLS):
        began = time.perf_counter()
        sampler.sample(1, seed=seed, min_length=0)
        times.append(time.perf_counter() - began)
    return statistics.median(times[CALLS // 10 :]) * 1e6


def draw(rows: list[dict[str, float]], path: Path) -> None:
    """How well against how fast: the lower right corner is where to be."""
    title, x, y = "Models: quality against speed", "strings a second, one thread", "test loss, nats"
    figure, axes = new_axes(8, 5, title, x, y)
    axes.set_xscale("log")
    for row in rows:
        axes.plot(row["strings/s"], row["test"], "o", color=BLUE)
        axes.annotate(
            f"{row['model']} ({row['train s']:.0f} s)",
            (row["strings/s"], row["test"]),
            xytext=(6, 3),
            textcoords="offset points",
        )
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path)


if __name__ == "__main__":
    main()
