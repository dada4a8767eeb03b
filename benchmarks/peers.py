"""What people would take instead: the same weights in other runtimes, on one core.

    pip install '.[bench]'
    for model in transformer gru mlp; do mm-export names.txt --model $model -o $model; done
    python benchmarks/peers.py transformer gru mlp -o benchmarks/results/peers.json

Equal weights, converted from the best checkpoint of the run beside each artifact; equal work:
strings until their stop or 15 characters, temperature 1, nothing truncated, as Python
strings. Each peer is a module of peer/ in a process of its own (worker.py), with one thread, and
all on the same core. Before it is timed, each is checked to be the same model: by the
log-probabilities that it gives 200 strings, where it gives logits, and by 5,000 samples against as
many drawn by the model's `forward`. Then they take turns; figures are medians over the rounds,
ratios those within a round. Seeds are fresh in every call. A peer that is not installed, or not the
same model, is named with the reason.

Left out: llama-cpp-python, which PyPI has as source only, and pip compiles llama.cpp for longer
than all of this takes.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from figures import environment, show
from makemore_export.plots.figure import BLUE, new_figure, save_png, set_title
from matplotlib.axes import Axes
from peer import COLD, OURS, PEERS, NotComparableError, Source
from peer.check import Truth
from worker import Worker

BATCH_SIZES = (32, 64, 128, 256, 512, 1_024, 2_048)
MANY = 4_096
"""Strings a call."""
SECONDS = 1.0
"""Of calls for one string, a round."""
P50, P99 = "p50, us", "p99, us"
LIBRARIES = (
    *("ctranslate2", "jax", "onnxruntime", "onnxruntime-genai", "openvino", "torch"),
    "transformers",
)

Row = dict[str, float | str]


@click.command()
@click.argument("artifacts", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write JSON and a plot there.")
@click.option("--only", multiple=True, type=click.Choice(list(PEERS)), help="These peers alone.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--more", default=100_000, show_default=True, help="Strings of the largest calls.")
def main(
    artifacts: tuple[Path, ...], out: Path | None, only: tuple[str, ...], rounds: int, more: int
) -> None:
    """Measures what samples from the models of ARTIFACTS, each with its run beside it."""
    torch.set_num_threads(1)
    names = [name for name in PEERS if not only or name in only or name == OURS]
    models = {}
    for artifact in artifacts:
        models[artifact.name] = found = compare(artifact, names, rounds, more)
        print(f"\n{artifact.name}, one name a call\n")
        show(found["one"])
        print(f"\n{artifact.name}, many names a call\n")
        show(found["many"])
        for name, reason in found["not timed"].items():
            print(f"not timed: {name}: {reason}")
    if out is not None:
        document = {"environment": environment() | versions(), "rounds": rounds, "models": models}
        out.write_text(json.dumps(document, indent=2) + "\n")
        draw(models, out.with_suffix(".png"))


def compare(artifact: Path, names: Iterable[str], rounds: int, more: int) -> dict[str, Any]:
    """The figures of one model, and how busy the machine was."""
    truth = Truth(Source(artifact))
    load = [os.getloadavg()[0]]
    workers: dict[str, Worker] = {}
    checks, refused = {}, {}
    for name in names:
        click.echo(f"{name}: start and check", err=True)
        try:
            worker = Worker(name, artifact)
            checks[name] = truth.check(worker.ask)
            workers[name] = worker
        except NotComparableError as reason:
            refused[name] = str(reason)
    seeds = count(1_000_000, 1_000_000)
    one = one_name(workers, seeds, rounds)
    many = many_names(workers, seeds, rounds, more)
    for worker in workers.values():
        worker.close()
    load.append(os.getloadavg()[0])
    return {
        "load average before, after": load,
        "checks": checks,
        "not timed": refused,
        "one": one,
        "many": many,
    }


def one_name(workers: dict[str, Worker], seeds: count[int], rounds: int) -> list[Row]:
    """A row for each peer: ours, then the others by their time of one string. A p99 is the median
    of those of the rounds.
    """

    def calls(name: str) -> list[float]:
        return workers[name].ask("one_at_a_time", SECONDS, next(seeds))

    took = in_turn(calls, [*workers], rounds)
    p50 = {name: [*map(statistics.median, rows)] for name, rows in took.items()}
    rows: list[Row] = [
        {
            "peer": name,
            P50: 1e6 * statistics.median(p50[name]),
            P99: 1e6 * statistics.median(np.quantile(row, 0.99) for row in took[name]),
            **{
                f"p50 over {ours}": ratio(p50[name], p50[ours])
                for ours in (OURS, COLD)
                if ours in p50
            },
        }
        for name in workers
    ]
    return sorted(rows, key=lambda row: (row["peer"] not in {OURS, COLD}, row[P50]))


def many_names(workers: dict[str, Worker], seeds: count[int], rounds: int, more: int) -> list[Row]:
    """A row for each peer: ours, then the others by their rate of `MANY` strings; with the rates of
    `more` strings, too many to be remembered, for ours and the fastest of the others.
    """
    rows: dict[str, Row] = {name: {"peer": name} for name in workers}

    def add(n: int, batch_sizes: dict[str, Sequence[int]]) -> None:
        best: dict[str, int] = {}
        for name, sizes in batch_sizes.items():
            click.echo(f"{name}: warm up, find the best batch for {n:,}", err=True)
            best[name] = best_batch(n, workers[name], sizes, seeds)

        def many(name: str) -> float:
            return workers[name].ask("many", n, best[name], next(seeds))

        rates = in_turn(many, [*best], rounds)
        for name, row in rows.items():
            there = name in rates
            row[batch_of(n)] = best[name] if there else ""
            row[rate_of(n)] = statistics.median(rates[name]) if there else ""
            row[f"makemore over it, n = {n:,}"] = ratio(rates[OURS], rates[name]) if there else ""

    add(MANY, dict.fromkeys(workers, BATCH_SIZES))
    ours = [name for name in (OURS, COLD) if name in workers]
    others = sorted(set(workers) - {*ours}, key=lambda name: -float(rows[name][rate_of(MANY)]))
    fastest = {name: int(rows[name][batch_of(MANY)]) for name in others[:1]}
    # More strings fill a larger batch.
    larger = {name: [size, 2 * size, 4 * size] for name, size in fastest.items()}
    add(more, {OURS: BATCH_SIZES} | larger)
    return [rows[name] for name in (*ours, *others)]


def best_batch(n: int, worker: Worker, batch_sizes: Sequence[int], seeds: count[int]) -> int:
    """The batch size of the highest rate in calls for n strings.

    A call is of one batch where `MANY` would take seconds: such peers are no faster with more.
    """
    rates: dict[int, float] = {}
    for batch_size in batch_sizes:
        if batch_size <= worker.largest_batch:
            worker.ask("many", batch_size, batch_size, next(seeds))  # warms up
            rates[batch_size] = worker.ask("many", batch_size, batch_size, next(seeds))
            if rates[batch_size] > MANY / 2:
                worker.ask("many", n, batch_size, next(seeds))
                rates[batch_size] = worker.ask("many", n, batch_size, next(seeds))
    return max(rates, key=lambda size: rates[size])


def batch_of(n: int) -> str:
    """The column of the batch size."""
    return f"batch, n = {n:,}"


def rate_of(n: int) -> str:
    """The column of the rate."""
    return f"names/s, n = {n:,}"


def in_turn(work: Callable[[str], Any], names: Sequence[str], rounds: int) -> dict[str, list[Any]]:
    """What `work` gives for each name in each round, after a round of warm-up."""
    found: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(rounds + 1):
        click.echo(f"{work.__name__}: round {number} of {rounds}", err=True)
        for name in names:
            result = work(name)
            if number > 0:
                found[name].append(result)
    return found


def versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    installed = {found.name: found.version for found in metadata.distributions()}
    return {name: installed[name] for name in LIBRARIES if name in installed}


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def draw(models: dict[str, dict[str, Any]], path: Path) -> None:
    """Time of one string and strings a second, a bar a peer, a row of pictures a model."""
    heights = [len(found["one"]) for found in models.values()]
    figure = new_figure(11, 0.35 * sum(heights) + len(models))
    pictures = figure.subplots(len(models), 2, squeeze=False, sharex="col", height_ratios=heights)
    for (model, found), (left, right) in zip(models.items(), pictures, strict=True):
        draw_bars(left, found["one"], P50)
        set_title(left, f"{model}: us for one name")
        draw_bars(right, found["many"], rate_of(MANY))
        set_title(right, f"{model}: {rate_of(MANY)}")
    save_png(figure, path)


def draw_bars(axes: Axes, rows: list[Row], column: str) -> None:
    """The first row on top, figures on a logarithmic axis, makemore's in blue."""
    names = [str(row["peer"]) for row in rows]
    colours = [BLUE if name in {OURS, COLD} else "0.6" for name in names]
    bars = axes.barh(names, [float(row[column]) for row in rows], color=colours)
    axes.bar_label(bars, [f"{row[column]:,.0f}" for row in rows], padding=3)
    axes.set_xscale("log")
    axes.tick_params(labelbottom=True)
    axes.invert_yaxis()
    axes.margins(x=0.25)


if __name__ == "__main__":
    main()
