"""A model over words: how well it predicts verses, and that it makes them of known words only.

    apt-get install bible-kjv    # Debian's King James Version: bible-kjv-text 4.38, 31,102 verses
    bible -f gen1:1-rev22:21 | cut -d ' ' -f 2- > kjv.txt
    python benchmarks/words.py kjv.txt -o benchmarks/results/words.json

Any text of one thing per line will do. Duplicates are dropped, then the lines split 80/10/10 by
seed 1; the model knows the 5,000 most frequent words of train. Losses are in nats per word, marks
and stops counted, and an unknown word as likely as all unknown ones together. One thread.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from itertools import chain
from pathlib import Path

import click
import makemore
import torch
from figures import environment, show
from makemore.vocabulary import WORDS, WordVocabulary
from makemore_export.checkpoint import RunFolder
from makemore_export.data import Strings, parse_split, read_text
from makemore_export.export import export
from makemore_export.plan import plan
from makemore_export.training import initial_model, train

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
    run, parts = plan(
        read_text(text),
        model="lstm",
        percents=parse_split("80/10/10"),
        keep_duplicates=False,
        seed=1,
        options=OPTIONS,
        level="word",
        vocab_size=WORDS,
    )
    strings = {part: Strings(lines, run.vocabulary) for part, lines in parts.items()}
    with tempfile.TemporaryDirectory() as temporary:
        folder = RunFolder(Path(temporary, "run"))
        began = time.perf_counter()
        for _ in train(initial_model(run), run, strings, folder):
            pass
        seconds = time.perf_counter() - began
        trained = folder.latest()
        assert trained is not None
        artifact = Path(temporary, "artifact")
        export(trained, artifact)
        size = (artifact / "model.onnx").stat().st_size
        sampler = makemore.load(artifact, threads=1)
    began = time.perf_counter()
    made = sampler.sample_ids(SAMPLES, seed=1)
    rate = SAMPLES / (time.perf_counter() - began)
    check(made, sampler.vocabulary)
    print("\n".join(sample.text for sample in made[:SHOWN]))
    test = strings["test"]
    loss = trained.progress.losses["test"]
    row = {
        "text": text.name,
        "MB": text.stat().st_size / 1e6,
        "lines": run.data.lines,
        "words": sum(int(part.lengths.sum()) for part in strings.values()),
        "known": len(run.tokens),
        "unknown in test": share_of_unknown(test, run.vocabulary),
        "train s": seconds,
        "train nats/word": trained.progress.losses["train"],
        "test nats/word": loss,
        "test perplexity": math.exp(loss),
        "model MB": size / 1e6,
        "lines/s": rate,
        "words a line": sum(len(sample.ids) for sample in made) / SAMPLES,
    }
    show([row])
    if out is not None:
        lines = [sample.text for sample in made[:SHOWN]]
        result = {"environment": environment(), "options": OPTIONS, **row, "samples": lines}
        out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def check(made: list[makemore.Sample], vocabulary: WordVocabulary) -> None:
    """Unknown is never made, and every token stands for a known word."""
    ids = set(chain.from_iterable(sample.ids.tolist() for sample in made))
    assert vocabulary.unknown not in ids
    assert ids <= set(range(1, len(vocabulary.tokens) + 1))
    assert not any("\ufffd" in sample.text for sample in made)


def share_of_unknown(strings: Strings, vocabulary: WordVocabulary) -> float:
    """Of the words of `strings`, how many the vocabulary does not know."""
    return float((strings.tokens == vocabulary.unknown).sum() / strings.lengths.sum())


if __name__ == "__main__":
    main()
