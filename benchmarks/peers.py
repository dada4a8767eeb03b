"""What people would take instead: the same weights in other runtimes, on one core.

    pip install '.[bench]'
    python benchmarks/peer/build_llama_cpp.py
    for model in transformer lstm gru mlp ngram; do
      mm-export names.txt --model $model -o $model; done
    python benchmarks/peers.py transformer lstm gru mlp ngram -o benchmarks/results/peers.json

With `--rounds 3 --more 50000` and one model it ends within ten minutes. A table for each model,
then the ratios over the fastest of the others.

Equal weights, converted from the best checkpoint of the run beside each artifact; equal work:
strings until their stop or 15 characters, temperature 1, nothing truncated, as Python
strings. Each peer is a module of peer/ in a process of its own (worker.py), with one thread, and
all on the same core. Before it is timed, each is checked to be the same model: by the
log-probabilities that it gives 200 strings, where it gives logits, and by 5,000 samples against as
many drawn by the model's `forward`. Ours in float16 and int8 are the artifacts beside, such as
lstm-half and lstm-int8, if they are there. Then they take turns; figures are medians over the
rounds, ratios those within a round. Seeds are fresh in every call. A peer that is not installed, or
not the same model, is named with the reason.
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
from peer import COLD, OUR_PEERS, OURS, PEERS, NotComparableError, Source, build_llama_cpp
from peer.check import Truth
from peers_plot import Row, draw
from worker import Worker

BATCH_SIZES = (32, 64, 128, 256, 512, 1_024, 2_048)
MANY = 4_096
"""Strings a call."""
SECONDS = 1.0
"""Of calls for one string, a round."""
P50, P99 = "p50, us", "p99, us"
Rates = dict[str, list[float]]
"""Names a second of each peer, a figure a round."""
LIBRARIES = (
    *("ctranslate2", "jax", build_llama_cpp.PACKAGE, "onnxruntime", "onnxruntime-genai"),
    *("openvino", "torch", "transformers"),
)


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
    about = environment() | versions()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    names = [name for name in PEERS if not only or name in OUR_PEERS.union(only)]
    models = {}
    for artifact in artifacts:
        models[artifact.name] = found = compare(artifact, names, rounds, more)
        print(f"\n{artifact.name}, one name a call\n")
        show(found["one"])
        print(f"\n{artifact.name}, many names a call\n")
        show(found["many"])
        for name, reason in found["not timed"].items():
            print(f"not timed: {name}: {reason}")
        if found["fastest"]:
            print(f"\n{artifact.name}, over the fastest of the others\n")
            show(found["fastest"])
    if out is not None:
        document = {"environment": about, "rounds": rounds, "models": models}
        out.write_text(json.dumps(document, indent=2) + "\n")
        draw(models, out.with_suffix(".png"), P50, rate_of(MANY))


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
    one, rates = one_name(workers, seeds, rounds)
    many, more_rates = many_names(workers, seeds, rounds, more)
    for worker in workers.values():
        worker.close()
    load.append(os.getloadavg()[0])
    return {
        "load average before, after": load,
        "checks": checks,
        "not timed": refused,
        "one": one,
        "many": many,
        "fastest": over_fastest(rates | more_rates),
    }


def one_name(
    workers: dict[str, Worker], seeds: count[int], rounds: int
) -> tuple[list[Row], dict[int, Rates]]:
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
    rows.sort(key=lambda row: (row["peer"] not in OUR_PEERS, row[P50]))
    return rows, {1: {name: [1 / seconds for seconds in of_one] for name, of_one in p50.items()}}


def many_names(
    workers: dict[str, Worker], seeds: count[int], rounds: int, more: int
) -> tuple[list[Row], dict[int, Rates]]:
    """A row for each peer: ours, then the others by their rate of `MANY` strings; with the rates of
    `more` strings, too many to be remembered, for ours and the fastest of the others.
    """
    rows: dict[str, Row] = {name: {"peer": name} for name in workers}

    def add(n: int, batch_sizes: dict[str, Sequence[int]]) -> Rates:
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
        return rates

    rates = {MANY: add(MANY, dict.fromkeys(workers, BATCH_SIZES))}
    ours = [name for name in workers if name in OUR_PEERS]
    others = sorted(set(workers) - {*ours}, key=lambda name: -float(rows[name][rate_of(MANY)]))
    plain = [name for name in others if "int8" not in name][:2]
    fastest = {name: int(rows[name][batch_of(MANY)]) for name in {*others[:1], *plain}}
    # More strings fill a larger batch.
    larger = {name: [size, 2 * size, 4 * size] for name, size in fastest.items()}
    warm = dict.fromkeys([name for name in ours if "cold" not in name], BATCH_SIZES)
    rates[more] = add(more, warm | larger)
    return [rows[name] for name in (*ours, *others)], rates


def over_fastest(rates: dict[int, Rates]) -> list[Row]:
    """For each number of names a call, and each of ours: the fastest of the others, of which those
    in int8 meet ours in int8 alone, and how many times as fast ours are.
    """
    rows: list[Row] = []
    for n, by_name in rates.items():
        for ours in (name for name in by_name if name in OUR_PEERS):
            others = {
                name for name in by_name.keys() - OUR_PEERS if "int8" in ours or "int8" not in name
            }
            if not others:
                continue
            best = max(others, key=lambda name: statistics.median(by_name[name]))
            rows.append(
                {
                    "names a call": n,
                    "ours": ours,
                    "names/s": statistics.median(by_name[ours]),
                    "fastest": best,
                    "its names/s": statistics.median(by_name[best]),
                    "over it": ratio(by_name[ours], by_name[best]),
                }
            )
    return rows


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
    """Of the libraries that are installed, and of the package of llama.cpp's source."""
    installed = {found.name: found.version for found in metadata.distributions()}
    if build_llama_cpp.BUILT.is_dir():
        installed[build_llama_cpp.PACKAGE] = build_llama_cpp.VERSION
    return {name: installed[name] for name in LIBRARIES if name in installed}


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    main()
