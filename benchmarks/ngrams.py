"""The counting models side by side: how well each predicts, what it takes, how fast it samples.

    python benchmarks/ngrams.py names.txt -o benchmarks/results/ngrams.json

Duplicates are dropped, then the lines split 80/10/10 by seed 1; losses are in nats per character,
stops counted; a k not given is the best on dev. MB are those of `model.onnx`; names/s are from
200,000 strings on one thread, the median of 3 rounds.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import makemore
import torch
from figures import environment, show, strings_per_second
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.splits import parse_split
from makemore_export.data.text import Text, read_text
from makemore_export.evaluation.likelihood import mean_nll
from makemore_export.models import CountingModel
from makemore_export.packing.artifact_folder import export
from makemore_export.runs.checkpoint import Checkpoint
from makemore_export.runs.run import Progress
from makemore_export.training.plan import plan
from makemore_export.training.start import initial_model

STRINGS = 200_000
ROUNDS = 3


@click.command()
@click.argument("text", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(text: Path, out: Path | None) -> None:
    """Fits, exports and samples the bigram and every n-gram on TEXT."""
    torch.set_num_threads(1)
    contents = read_text(text)
    smoothings: list[dict[str, Any]] = [
        {"method": "additive", "smoothing": 1.0},
        {"method": "additive"},
        {"method": "kneser-ney"},
    ]
    rows = [measured(contents, "bigram", {"smoothing": 1.0}), measured(contents, "bigram", {})]
    for smoothing in smoothings:
        rows += [measured(contents, "ngram", {"order": n, **smoothing}) for n in range(2, 7)]
    show([row | {split: f"{row[split]:.4f}" for split in ("dev", "test")} for row in rows])
    if out is not None:
        out.write_text(json.dumps({"environment": environment(), "rows": rows}, indent=2) + "\n")


def measured(text: Text, name: str, options: dict[str, Any]) -> dict[str, float | str]:
    """A row of the table: the model `name` with `options`, fitted on the train lines of `text`."""
    percents = parse_split("80/10/10")
    run, lines = plan(
        text, model=name, percents=percents, keep_duplicates=False, seed=1, options=options
    )
    splits = {name: EncodedStrings(split, run.vocabulary) for name, split in lines.items()}
    model = initial_model(run)
    assert isinstance(model, CountingModel)
    began = time.perf_counter()
    fitted = model.fit(splits["train"], splits["dev"])
    seconds = time.perf_counter() - began
    losses = {name: mean_nll(model, strings) for name, strings in splits.items()}
    progress = Progress(losses={**losses}, finished=True, fitted=fitted)
    weights = model.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "artifact"
        export(Checkpoint(run=run, progress=progress, weights=weights), artifact)
        size = (artifact / "model.onnx").stat().st_size
        rate = strings_per_second(makemore.load(artifact, threads=1), STRINGS, ROUNDS)
    mark = ", given" if "smoothing" in options else ""
    return {
        "model": name if name == "bigram" else f"{options['order']}-gram",
        "smoothing": f"k = {fitted['smoothing']:g}{mark}" if fitted else "Kneser-Ney",
        "dev": losses["dev"],
        "test": losses["test"],
        "contexts": len(weights["logits"]),
        "MB": size / 1e6,
        "fit s": seconds,
        "names/s": rate,
    }


if __name__ == "__main__":
    main()
