"""Molecules as SMILES: tokens that are atoms beside characters, on the same lines.

    pip download --no-deps molsets    # the data of MOSES, 1.6 million drug-like molecules of ZINC
    unzip -p molsets-*.whl moses/dataset/data/train.csv.gz | gzip -d > moses.csv
    tail -n +2 moses.csv | cut -d , -f 1 | head -30000 > smiles.txt
    python benchmarks/tokens.py smiles.txt -o benchmarks/results/tokens.json

Both levels train the same LSTM for the same number of steps of as many lines; the last tenth of the
lines is held out. Bits are of the canonical cut, per character of the text, line ends counted, so
that levels can be compared. Names a second are those of one core.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import click
import makemore
import numpy as np
from figures import environment, show

# Schwaller et al. (2018), "Found in Translation", supporting information; the longest match wins.
ATOMS = r"\[[^\]]+\]|Br|Cl|%[0-9]{2}|."
LEVELS = {"character": [], "token": ["--split-pattern", ATOMS]}
OPTIONS = ["--model", "lstm", "--split", "90/10"]
SAMPLES, ROUNDS = 10_000, 5


@click.command()
@click.argument("text", type=click.Path(path_type=Path, exists=True))
@click.option("--steps", default=2000, show_default=True, help="Of training.")
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(text: Path, steps: int, out: Path | None) -> None:
    """Trains an LSTM on the lines of TEXT at both levels, and compares their artifacts."""
    lines = text.read_text().split("\n")[:-1]
    cut = len(lines) * 9 // 10
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        train = Path(folder, "train.txt")
        train.write_text("\n".join(lines[:cut]) + "\n")
        rows += [measure(train, lines[cut:], level, steps, Path(folder, level)) for level in LEVELS]
    show(rows)
    if out:
        out.write_text(json.dumps({"environment": environment(), "levels": rows}, indent=1) + "\n")


def measure(train: Path, held_out: list[str], level: str, steps: int, to: Path) -> dict[str, Any]:
    """One level: trained, exported, scored and timed."""
    words = ["--level", level, *LEVELS[level], *OPTIONS, "--max-steps", str(steps)]
    command = [Path(sys.executable).with_name("mm-export"), train, "-o", to]
    began = time.perf_counter()
    subprocess.run([*command, *words, "--samples", "0"], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    sampler = makemore.load(to, threads=1)
    scores = sampler.score(held_out, on_unknown="-inf")
    known = np.isfinite(scores)
    characters = sum(
        len(line) + 1 for line, is_known in zip(held_out, known, strict=True) if is_known
    )
    times, tokens = [], 0
    for seed in range(ROUNDS):
        began = time.perf_counter()
        made = sampler.sample_ids(SAMPLES, seed=seed)
        times.append(time.perf_counter() - began)
        tokens = sum(len(each.ids) + 1 for each in made)
    return {
        "level": level,
        "tokens": len(sampler.artifact.tokens),
        "training, s": round(seconds),
        "bits per character": round(float(-scores[known].sum() / np.log(2) / characters), 4),
        "lines not known": int((~known).sum()),
        "tokens a string": round(tokens / SAMPLES, 1),
        "strings/s": round(SAMPLES / median(times)),
    }


if __name__ == "__main__":
    main()
