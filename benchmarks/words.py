"""A model over words: how well it predicts verses, and that it makes them of known words only.

    apt-get install bible-kjv    # Debian's King James Version: bible-kjv-text 4.38, 31,102 verses
    bible -f gen1:1-rev22:21 | cut -d ' ' -f 2- > kjv.txt
    python benchmarks/words.py kjv.txt -o benchmarks/results/words.json

Any text of one thing per line will do. Duplicates are dropped, then the lines split 80/10/10 by
seed 1; the model knows the 5,000 most frequent words of train. Losses are in nats per word, marks
and stops counted, and an unknown word as likely as all unknown ones together. Seconds are those of
one core.
"""

from __future__ import annotations

import json
import tempfile
import time
from itertools import chain
from pathlib import Path
from typing import Any

import click
import makemore
import torch
from figures import environment, show
from makemore.word_vocabulary import WORDS, WordVocabulary
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.splits import parse_split
from makemore_export.data.text import read_text
from makemore_export.evaluation.likelihood import perplexity
from makemore_export.packing.artifact_folder import export
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.training.loop import train
from makemore_export.training.plan import plan
from makemore_export.training.start import initial_model

SAMPLES = 1000
SHOWN = 10
OPTIONS = {
    "n_embd": 128,
    "n_hidden": 256,
    "dropout": 0.2,
    "batch_size": 32,
    "max_steps": 700,
    "learning_rate": 6e-3,
    "weight_decay": 0.01,
    "average": 0.99,
}


@click.command()
@click.argument("text", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(text: Path, out: Path | None) -> None:
    """Trains an LSTM on the words of TEXT, exports it, and samples from the artifact."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        row = fit(text, Path(temporary))
        artifact = Path(temporary, "artifact")
        row["model MB"] = (artifact / "model.onnx").stat().st_size / 1e6
        sampler = makemore.load(artifact, threads=1)
    began = time.process_time()
    made = sampler.sample_ids(SAMPLES, seed=1, min_length=0)
    row["lines/s"] = SAMPLES / (time.process_time() - began)
    row["words a line"] = sum(len(sample.ids) for sample in made) / SAMPLES
    check(made, sampler.vocabulary)
    lines = [sample.text for sample in made[:SHOWN]]
    print("\n".join(lines))
    show([row])
    if out is not None:
        result = {"environment": environment(), "options": OPTIONS, **row, "samples": lines}
        out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def fit(text: Path, folder: Path) -> dict[str, Any]:
    """The figures of a model trained on `text`; its artifact is `folder / "artifact"`."""
    run, splits = plan(
        read_text(text),
        model="lstm",
        percents=parse_split("80/10/10"),
        keep_duplicates=False,
        seed=1,
        options=OPTIONS,
        level="word",
        vocab_size=WORDS,
    )
    strings = {name: EncodedStrings(lines, run.vocabulary) for name, lines in splits.items()}
    run_folder = RunFolder(folder / "run")
    began = time.process_time()
    for _ in train(initial_model(run), run, strings, run_folder):
        pass
    seconds = time.process_time() - began
    trained = checkpoint.load(run_folder.best)
    export(trained, folder / "artifact")
    losses = trained.progress.losses
    return {
        "text": text.name,
        "MB": text.stat().st_size / 1e6,
        "lines": run.data.lines,
        "words": sum(int(split.lengths.sum()) for split in strings.values()),
        "known": len(run.tokens),
        "unknown in test": share_of_unknown(strings["test"], run.vocabulary),
        "train s": seconds,
        "train nats/word": losses["train"],
        "test nats/word": losses["test"],
        "test perplexity": perplexity(losses["test"]),
    }


def check(made: list[makemore.Sample], vocabulary: WordVocabulary) -> None:
    """Unknown is never made, and every token stands for a known word."""
    ids = set(chain.from_iterable(sample.ids.tolist() for sample in made))
    assert vocabulary.unknown not in ids
    assert ids <= set(range(1, len(vocabulary.tokens) + 1))
    assert not any("\ufffd" in sample.text for sample in made)


def share_of_unknown(strings: EncodedStrings, vocabulary: WordVocabulary) -> float:
    """Of the words of `strings`, how many the vocabulary does not know."""
    return float((strings.tokens == vocabulary.unknown).sum() / strings.lengths.sum())


if __name__ == "__main__":
    main()
