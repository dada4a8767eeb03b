"""How near the decode of models comes to what this core can do at all.

    mm-export names.txt --model transformer -o transformer
    mm-export names.txt --model lstm -o lstm
    OMP_NUM_THREADS=1 python benchmarks/floor.py transformer lstm -o benchmarks/results/floor.json

The floor of a step is the larger of two times: its arithmetic at the core's peak, which is that of
multiply-adds in registers (peak.cpp, compiled before it is timed), and its weights at the rate that
the faster of PyTorch's and NumPy's dot product reads as many bytes, without the time of a call. The
share is the floor over the time taken, on one core. Peak, rate and time are taken in turn, a share
is of one round, shown is the median.

- a step: of the artifact, the mean over the positions of a name of mean length; the time of the
  call from Python is in it.
- one string: calls with an empty cache, the choice of tokens and strings in Python included.
- many strings: one call. Its floor is naive: every character of every string computed, at the peak,
  though the decode computes shared prefixes once. So it can pass 100%.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import click
import makemore
import numpy as np
import torch
from figures import environment, show
from makemore import Sampler
from peer.cpp_loop import compiled
from work import Work, work_of

STRINGS = 32_000
SINGLES = 100
BATCH = 256
MULTIPLY_ADDS = 2_000_000
"""Rounds of them that give the peak."""


class Core(NamedTuple):
    """What the core can do: operations and bytes a second."""

    peak: float
    rate: float


@click.command()
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
@click.option("--rounds", default=15, show_default=True)
def main(artifacts: tuple[Path, ...], out: Path | None, rounds: int) -> None:
    """Measures ARTIFACTS, each alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    found = {artifact.name: measured(artifact, rounds) for artifact in artifacts}
    for name, figures in found.items():
        print(f"\n{name}")
        show([figures["core"]])
        show(figures["rows"])
    if out is not None:
        document = {"environment": environment(), "artifacts": found}
        out.write_text(json.dumps(document, indent=2) + "\n")


def measured(artifact: Path, rounds: int) -> dict[str, Any]:
    """The core, and a row for each task, of an artifact."""
    sampler = makemore.load(artifact, threads=1)
    try:
        work = work_of(sampler.artifact)
    except ValueError as error:
        raise click.BadParameter(f"{artifact}: {error}") from None
    cores, shares = [], []
    tasks = tasks_of(sampler, work)
    measure = core_of(work.bytes)
    for number in range(rounds + 1):
        core = measure()
        pairs = [(floor(core), took()) for floor, took in tasks.values()]
        if number > 0:  # the first warms up
            cores.append(core)
            shares.append(pairs)
    return {
        "core": {
            "peak, GFLOP/s": statistics.median(core.peak for core in cores) / 1e9,
            "weights read, GB/s": statistics.median(core.rate for core in cores) / 1e9,
            "KiB of weights": work.bytes / 1024,
        },
        "rows": [
            {
                "work": name,
                "floor, us": 1e6 * statistics.median(floor for floor, _ in found),
                "taken, us": 1e6 * statistics.median(taken for _, taken in found),
                "share, %": 100 * statistics.median(floor / taken for floor, taken in found),
            }
            for name, found in zip(tasks, zip(*shares, strict=True), strict=True)
        ],
    }


def tasks_of(
    sampler: Sampler, work: Work
) -> dict[str, tuple[Callable[[Core], float], Callable[[], float]]]:
    """What is measured: the seconds of its floor, and those that it takes."""
    alone = [
        len(sampler.sample_ids(1, seed=seed, min_length=0)[0].ids) + 1 for seed in range(SINGLES)
    ]
    together = [len(made.ids) + 1 for made in sampler.sample_ids(STRINGS, seed=0, min_length=0)]
    positions = range(round(statistics.mean(together)))
    step_one, step_many = (steps(sampler, rows, positions) for rows in (1, BATCH))

    def cold() -> float:
        began = time.perf_counter()
        for seed in range(SINGLES):
            sampler.clear_cache()
            sampler.sample(1, seed=seed, min_length=0)
        return (time.perf_counter() - began) / SINGLES

    return {
        "a step of 1 row": (
            lambda core: floor(work, core, 1, positions) / len(positions),
            lambda: seconds(step_one, 300) / len(positions),
        ),
        "one string, nothing remembered": (
            lambda core: sum(floor(work, core, 1, range(n)) for n in alone) / SINGLES,
            cold,
        ),
        f"a step of {BATCH} rows": (
            lambda core: floor(work, core, BATCH, positions) / len(positions),
            lambda: seconds(step_many, 3) / len(positions),
        ),
        f"{STRINGS:,} strings": (
            lambda core: sum(work.flops(at) for n in together for at in range(n)) / core.peak,
            lambda: seconds(lambda: sampler.sample(STRINGS, seed=0, min_length=0), 1),
        ),
    }


def floor(work: Work, core: Core, rows: int, positions: Iterable[int]) -> float:
    """Seconds of steps; states count for nothing, as if they lay in registers."""
    least = work.bytes / core.rate
    return sum(max(rows * work.flops(at) / core.peak, least) for at in positions)


def core_of(size: int) -> Callable[[], Core]:
    """Measures the core, its rate with as many bytes as `size`."""
    peak = peak_of()
    reads = [(dot(size, library), dot(128, library)) for library in ("torch", "numpy")]

    def measure() -> Core:
        took = min(seconds(read, 300) - seconds(call, 300) for read, call in reads)
        return Core(peak=peak(), rate=size / took)

    return measure


def peak_of() -> Callable[[], float]:
    """Measures operations a second; `NotComparableError` where there is no compiler."""
    library = compiled(Path(__file__).with_name("peak.cpp"))
    library.multiply_and_add.restype = ctypes.c_int64
    numbers = (ctypes.c_float * 3)(0.5, 1)

    def measure() -> float:
        began = time.perf_counter()
        operations: int = library.multiply_and_add(ctypes.c_int64(MULTIPLY_ADDS), numbers)
        return operations / (time.perf_counter() - began)

    return measure


def dot(size: int, library: str) -> Callable[[], object]:
    """Reads so many bytes, in two vectors of float32."""
    a, b = torch.randn(2, size // 8).unbind()
    if library == "torch":
        return lambda: torch.dot(a, b)
    x, y = a.numpy(), b.numpy()
    return lambda: np.dot(x, y)


def steps(sampler: Sampler, rows: int, positions: range) -> Callable[[], object]:
    """A step at each of `positions`, with random tokens."""
    step = sampler.new_step()
    tokens = np.random.default_rng(0).integers(len(sampler.artifact.tokens), size=rows)
    at = [np.full(rows, position) for position in positions]
    step.reset(rows)

    def run() -> None:
        for position in at:
            step.run(tokens, position)

    return run


def seconds(work: Callable[[], object], times: int) -> float:
    """Median of so many calls."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


if __name__ == "__main__":
    main()
