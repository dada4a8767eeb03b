"""What `mm-inspect` shows of a run: how it was trained, how far it came, how well it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from makemore.artifact import Artifact
from makemore.errors import CheckpointError, OptionError
from makemore.sampler import Sampler
from makemore.vocabulary import Vocabulary

from makemore_export.data.counting import count_distinct
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.text import read_content
from makemore_export.evaluation.likelihood import bits, perplexity
from makemore_export.packing.eager import describe, eager_sampler
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.run_text import lines_of

_FIRST = 5  # lines of the text that are shown


def sampler_of(path: Path) -> Sampler:
    """Samples from a run's weights by PyTorch."""
    source = _source(path)
    model = source.run.new_model().eval()
    model.load_state_dict(source.weights)
    return eager_sampler(model, describe(source.run, source.progress, model))


def describe_text(
    path: Path, text: Path | None, encoding: str | None, top_bigrams: int | None
) -> dict[str, Any]:
    """The first lines of a run's text, how long they are, and its most frequent bigrams.

    Nothing where the text is not at hand, unless the bigrams are asked for: `OptionError`.
    """
    run = _source(path).run
    lines = lines_of(run, read_content(text) if text else None, encoding)
    if lines is None:
        if top_bigrams:
            raise OptionError(f"--top-bigrams counts in {run.data.name}: name it with --text")
        return {}
    kept = lines if run.keep_duplicates else lines.take(lines.first_rows)
    strings = EncodedStrings(kept, run.vocabulary)
    lengths = strings.lengths.sort().values
    shares = {"least": 0.0, "half up to": 0.5, "90% up to": 0.9, "99% up to": 0.99, "most": 1.0}
    found: dict[str, Any] = {
        "first lines": list(kept[:_FIRST]),
        f"{run.level}s a line": {
            name: int(lengths[round(share * (len(lengths) - 1))]) for name, share in shares.items()
        }
        | {"mean": float(lengths.double().mean())},
    }
    if top_bigrams:
        found["top bigrams"] = _top_bigrams(strings, run.vocabulary, top_bigrams)
    return found


def _top_bigrams(strings: EncodedStrings, vocabulary: Vocabulary, n: int) -> dict[str, int]:
    """How often the n most frequent pairs of tokens are in the strings."""
    size = len(vocabulary)
    texts = [text if text is not None else "(unknown)" for text in vocabulary.texts()]
    texts[vocabulary.first_label :] = vocabulary.labels
    pairs, counts = count_distinct(
        (inputs * size + targets)[targets >= 0].numpy() for inputs, targets in strings.batches()
    )
    most = np.argsort(-counts, kind="stable")[:n]

    def name(pair: int) -> str:
        first, second = divmod(pair, size)
        return (texts[first] if first else "(start)") + (texts[second] if second else "(end)")

    names = map(name, pairs[most].tolist())
    return dict(zip(names, counts[most].tolist(), strict=True))


def _source(path: Path) -> Checkpoint:
    source = RunFolder(path).latest() if path.is_dir() else checkpoint.load(path)
    if source is None:
        raise CheckpointError(f"{path}: holds no run")
    return source


def describe_run(path: Path) -> tuple[Artifact, dict[str, Any]]:
    """The metadata of the artifact that a run folder or a checkpoint would become, and the rest.

    A folder stands for its best checkpoint once the run is finished, else for the last.
    `CheckpointError` if there is none.
    """
    source = _source(path)
    run, progress = source.run, source.progress
    losses = {name: loss for name, loss in progress.losses.items() if loss is not None}
    return describe(run, progress, run.new_model()), {
        f"bits per {run.level}": {name: bits(loss) for name, loss in losses.items()},
        "perplexity": {name: perplexity(loss) for name, loss in losses.items()},
        "recipe": msgspec.to_builtins(run.recipe),
        "finished": progress.finished,
        "novelty": msgspec.to_builtins(progress.novelty),
    }
