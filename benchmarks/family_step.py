"""Steps and names of artifacts: our kernels against ONNX Runtime's nodes of the same file.

    python benchmarks/family_step.py names lstm gru mlp -o benchmarks/results/family_step.json

One core, in turn within one process, medians. A cold call is the first of a new sampler. The floor
is what the steps of a name take in full batches, after prefixes are shared: no call is faster.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
from figures import environment, show
from makemore import Sampler, _core
from makemore.artifact import METADATA_KEY, Artifact
from makemore.runtime.onnxruntime_library import open_library

ROUNDS = 5
CALLS = 300
"""Of one name, in each round."""

Row = dict[str, float | str]
Maker = Callable[[], Sampler]


@click.command()
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(artifacts: Sequence[Path], out: Path | None) -> None:
    """Measures steps and names of each of ARTIFACTS, once by nodes and once by kernels."""
    rows = [row for artifact in artifacts for row in measured(artifact)]
    show(rows)
    if out is not None:
        found = {"environment": environment(), "kernel": _core.kernels()[0], "rows": rows}
        out.write_text(json.dumps(found, indent=2) + "\n")


def measured(artifact: Path) -> list[Row]:
    makers = {name: maker(artifact / "model.onnx", name) for name in ("", _core.kernels()[0])}
    found: dict[str, list[Row]] = {name: [] for name in makers}
    warm = {name: make() for name, make in makers.items()}
    for name, sampler in warm.items():
        one_by_one(sampler, 5 * CALLS, first=10**6)
        sampler.sample(4096, seed=10**7)
        print(artifact.name, name or "nodes", sampler.sample(3, seed=1))
    for number in range(ROUNDS):
        for name, make in makers.items():
            found[name].append(round_of(make, warm[name], number))
    return [
        {
            "artifact": artifact.name,
            "step": name or "nodes",
            **{key: statistics.median(row[key] for row in of_name) for key in of_name[0]},
        }
        for name, of_name in found.items()
    ]


def maker(file: Path, kernel: str) -> Maker:
    """Makes new samplers over one open file, on one thread."""
    model = _core.OnnxModel(open_library(), file, kernel=kernel)
    artifact = Artifact.from_json(model.metadata(METADATA_KEY).decode(), str(file))
    axes = [state.time_axis for state in artifact.states]
    block_size = artifact.block_size
    return lambda: Sampler(artifact, lambda: _core.cpu_step(model, axes, block_size), threads=1)


def round_of(make: Maker, sampler: Sampler, number: int) -> Row:
    seed = 1000 * number
    rows = 256
    step_of_256 = step_seconds(sampler, rows) / rows
    return {
        "step of 1 row, us": 1e6 * step_seconds(sampler, 1),
        "of 256, us a row": 1e6 * step_of_256,
        "a name warm, us": 1e6 * statistics.median(one_by_one(sampler, CALLS, first=seed)),
        "cold, us": 1e6 * statistics.median(cold(make, 1, seed + i) for i in range(30)),
        "4,096 warm, /s": 4096 / seconds(lambda: sampler.sample(4096, seed=seed)),
        "cold, /s": 4096 / cold(make, 4096, seed),
        "100,000, /s": 100_000 / seconds(lambda: sampler.sample(100_000, seed=seed)),
        "floor of it, /s": 1 / (step_of_256 * steps_a_name(sampler, 100_000)),
    }


def steps_a_name(sampler: Sampler, strings: int) -> float:
    """Different prefixes of so many strings, each string itself among them, by their number."""
    samples = sampler.sample_ids(strings, seed=1)
    prefixes = set()
    for sample in samples:
        ids = tuple(sample.ids.tolist())
        prefixes.update(ids[:end] for end in range(len(ids) + 1))
    return len(prefixes) / strings


def step_seconds(sampler: Sampler, rows: int) -> float:
    step = sampler.new_step()
    tokens = np.zeros(rows, np.int64)
    times = []
    for _ in range(40):
        step.reset(rows)
        for i in range(8):
            positions = np.full(rows, i)
            times.append(seconds(lambda positions=positions: step.run(tokens, positions)))
    return statistics.median(times)


def one_by_one(sampler: Sampler, calls: int, first: int) -> list[float]:
    return [
        seconds(lambda seed=seed: sampler.sample(1, seed=seed))
        for seed in range(first, first + calls)
    ]


def cold(make: Maker, strings: int, seed: int) -> float:
    sampler = make()
    return seconds(lambda: sampler.sample(strings, seed=seed))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
