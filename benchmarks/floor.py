"""How near the decode of a transformer comes to what this core can do at all.

    mm-export names.txt --model transformer -o transformer
    OMP_NUM_THREADS=1 python benchmarks/floor.py transformer -o benchmarks/results/floor.json

The floor of a step is the larger of two times: its arithmetic at the core's peak, which is that of
a large product of matrices in PyTorch, and its weights at the rate that the faster of PyTorch's and
NumPy's dot product reads as many bytes, without the time of a call. They fit into the L2 cache. The
share is the floor over the time taken, on one core. Peak, rate and time are taken in turn, a share
is of one round, shown is the median.

- one row, 256 rows: a step of the artifact, the mean over the positions of a name of mean length;
  the time of the call from Python is in it.
- strings: `sample`, strings in Python included. Its floor is naive: every character of every string
  computed, at the peak, though the decode computes shared prefixes once. So it can pass 100%.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import makemore
import numpy as np
import torch
from figures import environment, show
from makemore import Sampler

STRINGS = 32_000
BATCH = 256
SIDE = 512
"""Of the matrices whose product gives the peak."""


class Work:
    """What a step of a transformer must do at least."""

    def __init__(self, sampler: Sampler) -> None:
        info = sampler.artifact.model
        if info.type != "transformer":
            raise click.BadParameter(f"holds a {info.type}; the floor is that of a transformer")
        self.layers, self.width = info.config["n_layer"], info.config["n_embd"]
        head = self.width * (len(sampler.artifact.tokens) + 1)
        vectors = self.layers * 13 * self.width + 2 * self.width  # norms and biases
        self.matrices = self.layers * 12 * self.width**2 + head
        self.bytes = 4 * (self.matrices + vectors + 2 * self.width)  # with a row of each embedding

    def flops(self, position: int) -> int:
        """Of one row: two a weight, and attention to the positions so far."""
        return 2 * self.matrices + 4 * self.layers * self.width * (position + 1)

    def floor(self, rows: int, position: int, peak: float, rate: float) -> float:
        """Seconds of a step; caches count for nothing, as if they lay in registers."""
        return max(rows * self.flops(position) / peak, self.bytes / rate)


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
@click.option("--rounds", default=15, show_default=True)
def main(artifact: Path, out: Path | None, rounds: int) -> None:
    """Measures the transformer ARTIFACT."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    sampler = makemore.load(artifact, threads=1)
    work = Work(sampler)
    lengths = [len(made.ids) + 1 for made in sampler.sample_ids(STRINGS, seed=0)]
    positions = range(round(statistics.mean(lengths)))
    all_positions = [position for length in lengths for position in range(length)]
    multiply = product(SIDE)
    read = [(dot(work.bytes, library), dot(128, library)) for library in ("torch", "numpy")]
    step_one, step_many = (steps(sampler, rows, positions) for rows in (1, BATCH))

    found: dict[str, list[tuple[float, float]]] = {}
    peaks, rates = [], []
    for number in range(rounds + 1):
        peak = 2 * SIDE**3 / seconds(multiply, 10)
        rate = max(
            work.bytes / (seconds(all_of, 300) - seconds(call, 300)) for all_of, call in read
        )
        took = {
            "step, 1 row": seconds(step_one, 300) / len(positions),
            f"step, {BATCH} rows": seconds(step_many, 3) / len(positions),
            f"{STRINGS:,} strings": seconds(lambda: sampler.sample(STRINGS, seed=0), 1),
        }
        floors = [
            statistics.mean(work.floor(rows, at, peak, rate) for at in positions)
            for rows in (1, BATCH)
        ]
        floors.append(sum(map(work.flops, all_positions)) / peak)
        if number > 0:  # the first warms up
            peaks.append(peak)
            rates.append(rate)
            for (name, time_taken), floor in zip(took.items(), floors, strict=True):
                found.setdefault(name, []).append((floor, time_taken))
    machine = {
        "peak, GFLOP/s": statistics.median(peaks) / 1e9,
        "weights read, GB/s": statistics.median(rates) / 1e9,
        "KiB of weights": work.bytes / 1024,
    }
    rows = [
        {
            "work": name,
            "floor, us": 1e6 * statistics.median(floor for floor, _ in pairs),
            "taken, us": 1e6 * statistics.median(taken for _, taken in pairs),
            "share of the floor, %": 100
            * statistics.median(floor / taken for floor, taken in pairs),
        }
        for name, pairs in found.items()
    ]
    show([machine])
    show(rows)
    if out is not None:
        document = {"environment": environment(), "core": machine, "rows": rows}
        out.write_text(json.dumps(document, indent=2) + "\n")


def product(side: int) -> Callable[[], object]:
    """A product of two square matrices of float32."""
    a, b, c = torch.randn(3, side, side).unbind()
    return lambda: torch.mm(a, b, out=c)


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
