"""Names a second on a GPU: the artifact's decode there against what else samples from its weights.

    mm-export --model transformer -o gpt && python benchmarks/gpu.py gpt.run gpt

An artifact in float16 (`mm-export --half`) meets contenders in float16.

First 10,000 samples are compared with the CPU's: a row may differ where its coin lies nearer to the
edge of a token's share than the two engines' logits are apart; they are counted and the farthest is
shown. Then equal weights and equal work (strings until their stop or the artifact's longest,
temperature 1, no filter) in turn within one process, medians, each contender at its best batch:

- eager: PyTorch runs the model's own step with its cache or state on the device, softmax and
  `torch.multinomial`, for any model
- transformers, CTranslate2: a GPT-2 of the same weights, for a transformer, where installed

`--device cpu` runs all of it on the memory of the CPU, to see that it works.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import makemore
import numpy as np
import torch
from figures import environment, show
from makemore import Sampler, _core
from makemore.device_sampler import DeviceSampler
from makemore.onnxruntime_library import open_library
from makemore_export import checkpoint
from makemore_export.models import Model
from makemore_export.step_module import StepModule

SEED = 1
Generate = Callable[[int], list[list[int]]]
"""Makes so many strings, as token ids until their stop."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("artifact", type=click.Path(path_type=Path, exists=True))
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--batch-size", "batch_sizes", default="1024,4096,16384,65536", show_default=True)
@click.option("--samples", default=10_000, show_default=True, help="To compare with the CPU's.")
@click.option("--rounds", default=5, show_default=True)
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(
    run: Path,
    artifact: Path,
    device: str,
    batch_sizes: str,
    samples: int,
    rounds: int,
    out: Path | None,
) -> None:
    """Compares and measures the model of RUN and ARTIFACT, exported from it."""
    sampler = on_device(artifact) if device == "cpu" else makemore.load(artifact, device="cuda")
    best = checkpoint.load(run / "best.safetensors")
    model = best.run.new_model().eval()
    model.load_state_dict(best.weights)
    half = sampler.artifact.model.precision == "float16"
    same = compare(makemore.load(artifact), sampler, samples)
    show([same])
    peers = {}
    if best.run.model == "transformer":
        for name in filter(find_spec, ("transformers", "ctranslate2")):
            generate_of = import_module(f"{name}_peer").generate_of
            peers[name] = generate_of(model, sampler.artifact.max_length, device, half=half)
    eager = eager_generate(model.half() if half else model, sampler, device)
    contenders = {"makemore": None, "eager": eager, **peers}
    rows = []
    for batch_size in map(int, batch_sizes.split(",")):
        rates = in_turn(sampler, contenders, batch_size, rounds)
        rows.append({"batch": batch_size} | {f"{name} names/s": r for name, r in rates.items()})
    show(rows)
    fastest = {name: max(row[f"{name} names/s"] for row in rows) for name in contenders}
    ours = fastest.pop("makemore")
    ratios = {f"over {name}": ours / rate for name, rate in fastest.items()}
    show([ratios])
    if out is not None:
        found = {"environment": environment(), "device": gpu_of(device), "samples": same}
        found |= {"rows": rows, "ratios at the best batch": ratios}
        out.write_text(json.dumps(found, indent=2) + "\n")


def on_device(artifact: Path) -> Sampler:
    """The decode of a GPU on the CPU's memory."""
    file = artifact / "model.onnx"
    metadata = makemore.load(file).artifact
    model = _core.OnnxModel(open_library(), file, kernel="")
    axes = [state.time_axis for state in metadata.states]
    return DeviceSampler(metadata, _core.DeviceModel(model, axes), device="cpu")


def compare(host: Sampler, device: Sampler, n: int) -> dict[str, int | float]:
    """How many of n samples differ, and how far the coin was from an edge in the farthest."""
    runs = [sampler.sample_ids(n, seed=SEED) for sampler in (host, device)]
    parted = [
        (one.row, one.ids.tolist(), other.ids.tolist())
        for one, other in zip(*runs, strict=True)
        if one.text != other.text
    ]
    error = max(
        abs(one.log_prob - other.log_prob)
        for one, other in zip(*runs, strict=True)
        if one.text == other.text
    )
    return {
        "samples": n,
        "that differ": len(parted),
        "farthest coin from an edge, 1e-9": 1e9
        * max((edge(host, *row) for row in parted), default=0),
        "log-probabilities differ by at most, 1e-9": 1e9 * error,
    }


def edge(host: Sampler, row: int, one: list[int], other: list[int]) -> float:
    """Distance of the coin to the nearest edge of a share, where the strings of a row part."""
    pairs = zip([*one, 0], [*other, 0], strict=False)
    position = next(i for i, (a, b) in enumerate(pairs) if a != b)
    step = host.new_step()
    step.reset(1)
    logits = np.empty(0)
    for place, token in enumerate([0, *one[:position]]):
        logits = step.run(np.array([token]), np.array([place]))[0].astype(np.float64)
    weights = np.exp(logits - logits.max())
    coin = _core.coin(SEED, row, position)
    return float(np.abs(np.cumsum(weights) / weights.sum() - coin).min())


def eager_generate(model: Model, sampler: Sampler, device: str) -> Generate:
    """PyTorch's way with the model's own step: state, tokens and choices stay on the device."""
    module = StepModule(model.to(device))
    max_length = sampler.artifact.max_length

    @torch.inference_mode()
    def generate(rows: int) -> list[list[int]]:
        token, position, *state = (value.to(device) for value in module.example(rows))
        said = []
        for _ in range(max_length):
            logits, *state = module(token, position, *state)
            token = torch.multinomial(logits.softmax(-1), num_samples=1)[:, 0]
            position = position + 1
            said.append(token)
        strings = torch.stack(said, dim=1).tolist()
        return [string[: string.index(0)] if 0 in string else string for string in strings]

    return generate


def in_turn(
    sampler: Sampler, contenders: dict[str, Generate | None], batch_size: int, rounds: int
) -> dict[str, float]:
    """Median strings a second of each contender, after a round of warm-up."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, generate in contenders.items():
            # The sampler refills its slots, and is at its best with more strings than those.
            n = batch_size * (4 if generate is None else 1)
            began = time.perf_counter()
            if generate is None:
                sampler.sample(n, seed=SEED, first_row=number * n, batch_size=batch_size)
            else:
                generate(n)
            if number > 0:
                rates[name].append(n / (time.perf_counter() - began))
    return {name: statistics.median(found) for name, found in rates.items()}


def gpu_of(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


if __name__ == "__main__":
    main()
