"""What float16 and int8 weights gain: one name a call, and many, beside float32.

    mm-export names.txt --model lstm -o lstm
    mm-export lstm.run -o lstm-half --half
    mm-export lstm.run -o lstm-int8 --int8
    python benchmarks/precisions.py lstm

One thread, the three artifacts in turn; medians of the rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import click
import makemore
from figures import environment, show
from makemore import Sampler

SUFFIXES = {"float32": "", "float16": "-half", "int8": "-int8"}
SINGLES = 200
ROUNDS = 9
MANY_ROUNDS = 5
CALLS = 40
"""For 4,096 strings, which fill a cache before it counts as warm."""


@click.command()
@click.argument("artifacts", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--many", default=100_000, show_default=True, help="Strings of the large calls.")
def main(artifacts: tuple[Path, ...], many: int) -> None:
    """Measures ARTIFACTS, each with `-half` and `-int8` beside it."""
    print(", ".join(f"{name} {value}" for name, value in environment().items()))
    rows = []
    for artifact in artifacts:
        samplers = {
            precision: makemore.load(artifact.with_name(artifact.name + suffix), threads=1)
            for precision, suffix in SUFFIXES.items()
        }
        for sampler in samplers.values():
            for seed in range(CALLS):
                sampler.sample(4_096, seed=1_000 + seed)
        warm = in_turn(samplers, lambda sampler, seeds: one(sampler, seeds, cold=False), ROUNDS)
        cold = in_turn(samplers, lambda sampler, seeds: one(sampler, seeds, cold=True), ROUNDS)
        rate = in_turn(samplers, lambda sampler, seeds: of_many(sampler, seeds, many), MANY_ROUNDS)
        for name in samplers:
            found = {"us, warm": warm[name], "us, cold": cold[name], "strings/s": rate[name]}
            rows.append({"model": artifact.name, "weights": name, **found})
    show(rows)


def in_turn(
    samplers: dict[str, Sampler], measure: Callable[[Sampler, range], float], rounds: int
) -> dict[str, float]:
    """The median of each sampler, over seeds that no other round has."""
    figures: dict[str, list[float]] = {name: [] for name in samplers}
    for i in range(rounds):
        for name, sampler in samplers.items():
            figures[name].append(measure(sampler, range(i * SINGLES, (i + 1) * SINGLES)))
    return {name: statistics.median(found) for name, found in figures.items()}


def one(sampler: Sampler, seeds: Iterable[int], *, cold: bool) -> float:
    """Microseconds of a call for one string, the median."""
    times = []
    for seed in seeds:
        if cold:
            sampler.clear_cache()
        began = time.perf_counter()
        sampler.sample(1, seed=seed)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def of_many(sampler: Sampler, seeds: range, many: int) -> float:
    """Strings a second of one call."""
    began = time.perf_counter()
    sampler.sample(many, seed=seeds.start)
    return many / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
