"""Names a second: the artifact's decode loop against the lecture's eager `generate`.

    mm-export --model transformer -o gpt && python benchmarks/decode_vs_eager.py gpt.run gpt

Equal weights, equal work (strings until their stop or 15 characters, temperature 1, no filter), one
thread each, in turn within one process, medians. At batch 1, one call a string. Both are checked to
be the same model first.
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
import torch
from figures import environment, show
from lecture import LectureTransformer, generate
from makemore_export.runs import checkpoint

ROUNDS = 7
STRINGS = {1: (16, 256), 32: (64, 2_048), 256: (256, 4_096), 1024: (1_024, 65_536)}
"""Batch size: strings a round for eager, and for the artifact, some tenths of a second each."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("artifact", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(run: Path, artifact: Path, out: Path | None) -> None:
    """Measures the model of RUN in eager PyTorch, and ARTIFACT, exported from it."""
    torch.set_num_threads(1)
    best = checkpoint.load(run / "best.safetensors")
    model = best.run.new_model().eval()
    model.load_state_dict(best.weights)
    lecture = LectureTransformer(model)
    sampler = makemore.load(artifact, threads=1)
    max_length = sampler.artifact.max_length
    check_same(lecture, sampler)

    rows = []
    for batch_size, (eager_strings, our_strings) in STRINGS.items():

        def eager(n: int = eager_strings, batch_size: int = batch_size) -> None:
            for _ in range(0, n, batch_size):
                generate(lecture, batch_size, max_length)

        def ours(n: int = our_strings, batch_size: int = batch_size) -> None:
            if batch_size == 1:  # one string a call, as a program that needs one would
                for _ in range(n):
                    sampler.sample(1)
            else:
                sampler.sample(n, batch_size=batch_size)

        eager_rate, our_rate = in_turn((eager, eager_strings), (ours, our_strings))
        rows.append(
            {
                "batch": batch_size,
                "eager names/s": statistics.median(eager_rate),
                "makemore names/s": statistics.median(our_rate),
                "ratio": statistics.median(
                    b / a for a, b in zip(eager_rate, our_rate, strict=True)
                ),
                "ratio min": min(b / a for a, b in zip(eager_rate, our_rate, strict=True)),
                "ratio max": max(b / a for a, b in zip(eager_rate, our_rate, strict=True)),
            }
        )
    show(rows)
    if out is not None:
        out.write_text(json.dumps({"environment": environment(), "rows": rows}, indent=2) + "\n")


def check_same(lecture: LectureTransformer, sampler: makemore.Sampler) -> None:
    """The log-probability of each eager sample is the same by the lecture's forward and by ours."""
    strings = generate(lecture, 200, sampler.artifact.max_length)
    texts = ["".join(sampler.artifact.tokens[i - 1] for i in ids) for ids in strings]
    scores = sampler.score(texts)
    for ids, score in zip(strings, scores, strict=True):
        with torch.no_grad():
            log_probs = lecture(torch.tensor([[0, *ids]]))[0].log_softmax(-1)  # (T, V)
        expected = float(log_probs[torch.arange(len(ids) + 1), torch.tensor([*ids, 0])].sum())
        np.testing.assert_allclose(score, expected, atol=1e-4)


def in_turn(*contenders: tuple[Callable[[], None], int]) -> list[list[float]]:
    """Strings a second of each contender in each round, after one round of warm-up."""
    rates: list[list[float]] = [[] for _ in contenders]
    for round_number in range(ROUNDS + 1):
        for (work, strings), found in zip(contenders, rates, strict=True):
            began = time.perf_counter()
            work()
            if round_number > 0:
                found.append(strings / (time.perf_counter() - began))
    return rates


if __name__ == "__main__":
    main()
