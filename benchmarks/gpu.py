"""Names a second on a GPU: the artifact's decode there against what else samples from its weights.

    mm-export --model transformer -o gpt && python benchmarks/gpu.py gpt

`--device cpu` runs all but the CUDA graph on the memory of the CPU, to see that it works. An
artifact in float16 (`mm-export --half`) meets peers in float16.

First 10,000 samples are compared with the CPU's: a row may differ where its coin lies nearer to the
edge of a token's share than the two engines' logits are apart; they are counted and the farthest is
shown. Then equal weights and equal work (strings until their stop or 15 characters, temperature 1,
no filter) in turn within one process, medians, each contender at its best batch. The others are
peers of peer/, each checked first to give 200 strings the log-probabilities of the artifact; those
that are not installed, or cannot run the model, are named.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import makemore
import numpy as np
import peer
import torch
from figures import environment, show
from makemore import Sampler, _core
from makemore.runtime.device_sampler import DeviceSampler
from makemore.runtime.onnxruntime_library import open_library
from peer import NotComparableError, Peer, Source

SEED = 1
PEERS = {
    "eager PyTorch, cached": "eager_cached",
    "CUDA graph": "cuda_graph",
    "torch.compile": "compiled",
    "transformers": "transformers",
    "CTranslate2": "ctranslate2",
}
"""What a table calls it: its module in peer/."""


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path, exists=True))
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--batch-size", "batch_sizes", default="1024,4096,16384,65536", show_default=True)
@click.option("--samples", default=10_000, show_default=True, help="To compare with the CPU's.")
@click.option("--rounds", default=5, show_default=True)
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(
    artifact: Path,
    device: str,
    batch_sizes: str,
    samples: int,
    rounds: int,
    out: Path | None,
) -> None:
    """Compares and measures the model of ARTIFACT, with its run beside it."""
    sampler = on_device(artifact) if device == "cpu" else makemore.load(artifact, device="cuda")
    host = makemore.load(artifact)
    same = compare(host, sampler, samples)
    show([same])
    half = host.artifact.model.precision == "float16"
    source = Source(artifact, device, half=half)
    loaded = {name: load_or_reason(module, source) for name, module in PEERS.items()}
    peers = {name: tried for name, tried in loaded.items() if isinstance(tried, Peer)}
    for name in loaded.keys() - peers.keys():
        print(f"not timed: {name}: {loaded[name]}")
    for tried in peers.values():
        check_same(tried, host, atol=0.2 if half else 1e-3)

    def ours(n: int, batch_size: int, seed: int) -> list[str]:
        return sampler.sample(n, batch_size=batch_size, seed=seed, max_length=source.max_length)

    contenders = {peer.OURS: ours} | {name: tried.sample for name, tried in peers.items()}
    rows = []
    for batch_size in map(int, batch_sizes.split(",")):
        rates = in_turn(contenders, batch_size, rounds)
        rows.append({"batch": batch_size} | {f"{name} names/s": r for name, r in rates.items()})
    show(rows)
    fastest = {name: max(row[f"{name} names/s"] for row in rows) for name in contenders}
    ratios = {f"over {name}": fastest[peer.OURS] / rate for name, rate in fastest.items()}
    show([ratios])
    if out is not None:
        found = {"environment": environment(), "device": gpu_of(device), "samples": same}
        found |= {"rows": rows, "ratios at the best batch": ratios}
        out.write_text(json.dumps(found, indent=2) + "\n")


def on_device(artifact: Path) -> Sampler:
    """The decode of a GPU on the CPU's memory."""
    file = artifact / "model.onnx"
    metadata = makemore.load(file).artifact
    model = _core.OnnxModel(open_library(), file, kernel="", keep_file=True)
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


def load_or_reason(module: str, source: Source) -> Peer | str:
    """The peer, or why there is none."""
    try:
        return peer.load(module, source)
    except (ImportError, NotComparableError) as reason:
        return str(reason)


def check_same(tried: Peer, sampler: Sampler, atol: float) -> None:
    """The peer gives strings the log-probability that the artifact gives them, but for `atol`."""
    strings = sampler.sample(200, seed=SEED, max_length=tried.max_length)
    logits = tried.logits(peer.encode(strings, tried.letters))
    found = peer.log_probs(logits, strings, tried.letters)
    np.testing.assert_allclose(found, sampler.score(strings), atol=atol)


def in_turn(
    contenders: dict[str, Callable[[int, int, int], list[str]]], batch_size: int, rounds: int
) -> dict[str, float]:
    """Median strings a second of each contender, after a round of warm-up."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, sample in contenders.items():
            # The sampler refills its slots, and is at its best with more strings than those.
            n = batch_size * (4 if name == peer.OURS else 1)
            began = time.perf_counter()
            sample(n, batch_size, SEED + number)
            if number > 0:
                rates[name].append(n / (time.perf_counter() - began))
    return {name: statistics.median(found) for name, found in rates.items()}


def gpu_of(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


if __name__ == "__main__":
    main()
