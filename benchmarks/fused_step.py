"""Microseconds of a transformer's step: a kernel of ours against ONNX Runtime's nodes.

    python benchmarks/fused_step.py                       # a step, over shapes; random weights
    mm-export --model transformer -o gpt && python benchmarks/fused_step.py gpt   # and names

One file each, opened twice, with the kernel and without it: the same weights, on one core, in turn
within one process, medians. Both are checked to give the same logits (or samples) first.
"""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import numpy as np
import torch
from figures import environment, show
from makemore import _core
from makemore.artifact import METADATA_KEY, Artifact, DataInfo, Golden, ModelInfo, TrainingInfo
from makemore.runtime.onnxruntime_library import open_library
from makemore.sampler import Sampler
from makemore_export.models.transformer import Transformer, TransformerConfig
from makemore_export.packing.onnx_export import to_onnx
from makemore_export.packing.step_module import StepModule

SECONDS = 0.5
"""What each line of the table is measured for, at least three rounds."""

BATCHES = (1, 8, 32, 256, 1024)
STATE_BYTES = 1 << 30
"""Most that a batch's caches may take."""

SHAPES = [  # layers, width, heads, block, vocabulary
    (4, 64, 4, 16, 27),  # makemore's default
    (2, 32, 4, 8, 27),
    (4, 64, 4, 64, 27),
    (4, 64, 4, 256, 27),
    (12, 64, 4, 16, 27),
    (4, 64, 4, 16, 10_000),
    (4, 128, 8, 32, 27),
    (6, 192, 6, 64, 100),
    (6, 384, 6, 32, 10_000),
    (12, 384, 6, 256, 27),
]

Row = dict[str, float | str]


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(artifact: Path | None, out: Path | None) -> None:
    """Measures steps of random transformers and, if it is given, names of ARTIFACT."""
    torch.set_num_threads(1)
    tables = {"names": names(artifact)} if artifact else {}
    with tempfile.TemporaryDirectory() as folder:
        tables["steps"] = [row for shape in SHAPES for row in steps(shape, Path(folder))]
    for table in tables.values():
        show(table)
    if out is not None:
        found = {"environment": environment(), "kernel": _core.kernels()[0], **tables}
        out.write_text(json.dumps(found, indent=2) + "\n")


def steps(shape: tuple[int, ...], folder: Path) -> list[Row]:
    """A step at a third of the block and at its end, for each batch size."""
    layers, width, heads, block, vocab_size = shape
    file = folder / "model.onnx"
    file.write_bytes(random_model(shape))
    nodes, fused = (open_step(file, kernel) for kernel in ("", None))
    rows: list[Row] = []
    for batch, position in itertools.product(BATCHES, (block // 3, block - 1)):
        if 8 * layers * block * width * batch > STATE_BYTES:
            continue
        tokens = np.random.default_rng(0).integers(vocab_size, size=batch)
        run = [stepper(step, tokens, position) for step in (nodes, fused)]
        logits = [work() for work in run]
        np.testing.assert_allclose(*logits, rtol=0, atol=1e-5 * np.abs(logits[0]).max())
        rows.append(
            {
                "layers x width": f"{layers} x {width}",
                "heads": heads,
                "block": block,
                "vocabulary": vocab_size,
                "batch": batch,
                "position": position,
                **compared(*in_turn(*run), unit="us", scale=1e6),
            }
        )
    return rows


def random_model(shape: tuple[int, ...]) -> bytes:
    """The file of a transformer whose every parameter matters."""
    n_layer, n_embd, n_head, block_size, vocab_size = shape
    torch.manual_seed(0)
    config = TransformerConfig(block_size=block_size, n_layer=n_layer, n_embd=n_embd, n_head=n_head)
    model = Transformer(config, vocab_size).eval()
    for name, parameter in model.named_parameters():
        centre = float("ln" in name and name.endswith("weight"))
        torch.nn.init.normal_(parameter, centre, parameter.shape[-1] ** -0.5)
    artifact = Artifact(
        model=ModelInfo(type="transformer", config=msgspec.to_builtins(config), parameters=0),
        level="character",
        tokens=tuple(map(chr, range(256, 255 + vocab_size))),
        block_size=block_size,
        max_length=block_size - 1,
        states=model.states(),
        training=TrainingInfo(
            data=DataInfo(name="none", sha256="", lines=0, blank=0, duplicates=0, split={}),
            losses={},
            steps=0,
            seed=0,
        ),
        versions={},
        golden=Golden(seed=0, strings=()),
    )
    return to_onnx(StepModule(model), artifact)


def open_step(file: Path, kernel: str | None) -> _core.Step:
    model = _core.OnnxModel(open_library(), file, kernel=kernel)
    return _core.cpu_step(model, [0] * len(model.states))


def stepper(step: _core.Step, tokens: np.ndarray, position: int) -> Callable[[], np.ndarray]:
    """One step of rows that all stand at `position`, over caches that are each row's own."""
    step.reset(len(tokens))
    for before in range(position):
        step.run(tokens, np.full(len(tokens), before))
    positions = np.full(len(tokens), position)
    return lambda: step.run(tokens, positions)


def names(path: Path) -> list[Row]:
    """Names of a trained artifact: one a call, then many a call."""
    nodes, fused = (sampler_of(path / "model.onnx", kernel) for kernel in ("", None))
    wanted = nodes.sample(10_000, seed=0, min_length=0)
    same = sum(
        a == b for a, b in zip(fused.sample(10_000, seed=0, min_length=0), wanted, strict=True)
    )
    print(f"{same:,} of {len(wanted):,} samples are the same")

    def work(sampler: Sampler, n: int) -> Callable[[], object]:
        seeds = itertools.count()  # the same names for both
        return lambda: sampler.sample(n, seed=next(seeds), min_length=0)

    rows: list[Row] = []
    for n in (1, 256, 4_096, 65_536):
        rates = in_turn(work(nodes, n), work(fused, n))
        rows.append({"names a call": n, **compared(*rates, unit="us a name", scale=1e6 / n)})
    return rows


def sampler_of(file: Path, kernel: str | None) -> Sampler:
    model = _core.OnnxModel(open_library(), file, kernel=kernel)
    artifact = Artifact.from_json(model.metadata(METADATA_KEY).decode(), str(file))
    axes = [state.time_axis for state in artifact.states]
    return Sampler(artifact, lambda: _core.cpu_step(model, axes), threads=1)


def in_turn(*contenders: Callable[[], object]) -> list[list[float]]:
    """Seconds of each contender in each round, after one round of warm-up."""
    times: list[list[float]] = [[] for _ in contenders]
    for work in contenders:
        work()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times[0]) < 3:
        for work, found in zip(contenders, times, strict=True):
            began = time.perf_counter()
            work()
            found.append(time.perf_counter() - began)
    return times


def compared(nodes: list[float], fused: list[float], *, unit: str, scale: float) -> Row:
    ratios = [a / b for a, b in zip(nodes, fused, strict=True)]
    return {
        f"nodes {unit}": scale * statistics.median(nodes),
        f"kernel {unit}": scale * statistics.median(fused),
        f"kernel p99 {unit}": scale * statistics.quantiles(fused, n=100, method="inclusive")[98],
        "ratio": statistics.median(ratios),
    }


if __name__ == "__main__":
    main()
