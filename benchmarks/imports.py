"""What an imported model costs: a GPT-2 of another program, and a module that takes whole strings.

    python benchmarks/imports.py -o benchmarks/results/imports.json

A transformer of makemore.py's names and sizes is imported, and its own weights are exported by
`mm-train`'s path: the same file but for the metadata, so their speeds are equal. Then the same
weights as a module that takes whole strings, which computes each position again with every token.
Names a second, on one core: medians of rounds in which the first two take turns.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from statistics import median

import click
import makemore
import torch
from figures import environment, show
from makemore.artifact import OriginInfo
from makemore_export import export_model
from makemore_export.importers import Given, read_model, read_tensors
from makemore_export.models.transformer import Transformer, TransformerConfig
from makemore_export.packing.module_export import describe_import, pack_import
from torch import Tensor, nn

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIZES = TransformerConfig(block_size=16, n_layer=4, n_embd=64, n_head=4)
NAMES = {
    "token_embedding": "transformer.wte",
    "position_embedding": "transformer.wpe",
    "blocks": "transformer.h",
    "attention": "attn.c_attn",
    "projection": "attn.c_proj",
    "mlp_up": "mlp.c_fc",
    "mlp_down": "mlp.c_proj",
    "ln": "transformer.ln_f",
    "head": "lm_head",
}


@click.command()
@click.option("--rounds", default=15, show_default=True)
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(rounds: int, out: Path | None) -> None:
    """Measures the three artifacts of one set of weights."""
    torch.manual_seed(1)
    model = Transformer(SIZES, len(LETTERS) + 1).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.2 if "embedding" in name else 0.1)
    with tempfile.TemporaryDirectory() as folder:
        samplers = build(model, Path(folder))
        whole = {"whole strings": samplers.pop("whole strings")}
        rows = [
            {"strings a call": n} | {name: round(rate, 1) for name, rate in rates.items()}
            for n in (1, 1000)
            for rates in [measure(samplers, n, rounds) | measure(whole, n, rounds)]
        ]
    show(rows)
    if out:
        out.write_text(json.dumps({"environment": environment(), "rows": rows}, indent=1) + "\n")


def build(model: Transformer, folder: Path) -> dict[str, makemore.Sampler]:
    """The same weights as ours, as makemore.py's, and as a module that takes whole strings."""
    origin = OriginInfo(format="none", name="none")
    artifact = describe_import(
        model, [*LETTERS], name="transformer", config={}, origin=origin, level="character"
    )
    pack_import(model, artifact, folder / "ours", facts={})
    torch.save(
        {theirs(name): weight for name, weight in model.state_dict().items()}, folder / "m.pt"
    )
    given = Given(tokens=[*LETTERS], n_head=SIZES.n_head)
    imported = read_model(read_tensors(folder / "m.pt"), "makemore", given).model
    pack_import(imported, artifact, folder / "makemore.py's", facts={})
    block = SIZES.block_size
    export_model(Whole(model), folder / "whole strings", tokens=LETTERS, block_size=block)
    return {
        path.name: makemore.load(path, threads=1, cache_bytes=0)
        for path in (folder / "ours", folder / "makemore.py's", folder / "whole strings")
    }


class Whole(nn.Module):
    """A module of whole strings."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(tokens)
        return logits


def theirs(name: str) -> str:
    """makemore.py's name of a parameter."""
    return ".".join(NAMES.get(part, part) for part in name.split("."))


def measure(samplers: dict[str, makemore.Sampler], n: int, rounds: int) -> dict[str, float]:
    """Strings a second of each, in calls of n, one after the other in each round."""
    rates: dict[str, list[float]] = {name: [] for name in samplers}
    for seed in range(rounds + 1):
        turns = [*samplers.items()]
        for name, sampler in turns[seed % len(turns) :] + turns[: seed % len(turns)]:
            began = time.perf_counter()
            calls = 100 if n == 1 else 1
            for i in range(calls):
                sampler.sample(n, seed=1000 * seed + i, min_length=0)
            rates[name].append(calls * n / (time.perf_counter() - began))
    return {name: median(each[1:]) for name, each in rates.items()}


if __name__ == "__main__":
    main()
