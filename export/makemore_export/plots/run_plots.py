"""All pictures of a run, in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from makemore.errors import CheckpointError, OptionError
from matplotlib.figure import Figure

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.text import read_content
from makemore_export.models import Model
from makemore_export.models.transformer import Transformer
from makemore_export.packing.eager import describe, eager_sampler
from makemore_export.plots.activations import (
    activation_plot,
    activations,
    attention,
    attention_plot,
)
from makemore_export.plots.counts import bigram_counts, bigram_plot, most_frequent
from makemore_export.plots.curves import learning_rate_plot, loss_plot
from makemore_export.plots.embedding import MARKS, embedding_plot, token_vectors
from makemore_export.plots.figure import save_png
from makemore_export.plots.labels import STOP_LABEL, token_labels
from makemore_export.plots.surprise import surprise, surprise_plot
from makemore_export.runs.checkpoint import Checkpoint, RunFolder, read_source
from makemore_export.runs.records import Evaluation, Record
from makemore_export.runs.run import Run
from makemore_export.runs.run_text import lines_of
from makemore_export.training.find_lr import Trial, suggestion

LONGEST = 200
"""Tokens of a string in a picture."""

_SAMPLES = 16


class Drawn(NamedTuple):
    """The files written, and which pictures were left out, each with the reason."""

    files: list[Path]
    left_out: list[str]


class _Read(NamedTuple):
    """A string, the ids of its tokens, and labels for them."""

    text: str
    ids: list[int]
    labels: list[str]


def draw(
    source: Path,
    folder: Path,
    *,
    text: Path | None = None,
    encoding: str | None = None,
    string: str | None = None,
    log_scale: bool = False,
) -> Drawn:
    """Writes the pictures of a run folder, or of its best checkpoint, into `folder` as PNG files.

    text: what the run was trained on, for the counts; without it, the data set that ships, if it is
      that one. `OptionError` for another.
    string: what to show the model; without it, the first sample of the run's seed.
      `OptionError` if it has tokens that the model does not know, or too many.
    log_scale: whether losses have a logarithmic axis.
    """
    trained = read_source(source)
    run = trained.run
    model = run.new_model().eval()
    model.load_state_dict(trained.weights)
    strings = _strings(run, text, encoding)
    read = _sample(trained, model) if string is None else _given(run, model, string)
    logs = source if source.is_dir() else source.parent
    pictures = {
        "bigrams": _bigrams(run, strings),
        "losses": _losses(run, logs, log_scale=log_scale),
        "learning-rates": _sweep(logs),
        "embedding": _embedding(run, model, strings),
        "surprise": _surprise(run, model, read),
        **_inside(run, model, read),
    }
    folder.mkdir(parents=True, exist_ok=True)
    drawn = Drawn([], [])
    for name, picture in pictures.items():
        if isinstance(picture, str):
            drawn.left_out.append(f"{name}: {picture}")
            continue
        drawn.files.append(folder / f"{name}.png")
        save_png(picture, drawn.files[-1])
    return drawn


def _strings(run: Run, path: Path | None, encoding: str | None) -> EncodedStrings | None:
    """The run's text, or None where it was not given and is not that of the package."""
    lines = lines_of(run, None if path is None else read_content(path), encoding)
    if lines is None:
        return None
    kept = lines if run.keep_duplicates else lines.take(lines.first_rows)
    return EncodedStrings(kept, run.vocabulary)


def _sample(trained: Checkpoint, model: Model) -> _Read:
    run = trained.run
    sampler = eager_sampler(model, describe(run, trained.progress, model))
    samples = sampler.sample_ids(_SAMPLES, seed=run.seed, min_length=0)
    made = next((sample for sample in samples if len(sample.ids)), samples[0])
    return _read(run, made.text, made.ids.tolist()[:LONGEST])


def _given(run: Run, model: Model, string: str) -> _Read:
    ids = run.vocabulary.encode_line(string)
    limit = LONGEST if model.block_size is None else min(LONGEST, model.block_size - 1)
    if len(ids) > limit:
        raise OptionError(f"the string to draw has {len(ids)} {run.level}s; the limit is {limit}")
    return _read(run, string, ids)


def _read(run: Run, text: str, ids: Sequence[int]) -> _Read:
    labels = token_labels(run.vocabulary)
    return _Read(text, list(ids), [labels[i] for i in ids])


def _bigrams(run: Run, strings: EncodedStrings | None) -> Figure | str:
    if strings is None:
        return f"{run.data.name} is not at hand; name it with --text"
    labels = token_labels(run.vocabulary)
    chosen = most_frequent(strings, len(labels))
    counts = bigram_counts(strings, chosen, len(labels))
    shown = [labels[i] for i in chosen.tolist()]
    return bigram_plot(counts, shown, len(labels), run.data.name, run.level)


def _losses(run: Run, folder: Path, *, log_scale: bool) -> Figure | str:
    first, second = RunFolder(folder), RunFolder(folder).refit
    names = {folder: run.model, second.path: f"refit: {run.model}"}
    names |= {each.path: each.path.name for each in first.components()}
    names |= {each.path: f"refit: {each.path.name}" for each in second.components()}
    logs = {name: _on_the_way(RunFolder(path).log) for path, name in names.items()}
    logs = {name: log for name, log in logs.items() if log}
    if not logs:
        return "no log of a training in steps"
    return loss_plot(logs, f"Losses of {_subject(run)}", run.level, log_scale=log_scale)


def _on_the_way(path: Path) -> list[Evaluation]:
    """The evaluations of a log, without the one at the end."""
    records = _records(path, Record) if path.exists() else ()
    return [r for r in records if isinstance(r, Evaluation) and not r.finished]


def _records(path: Path, kind: Any) -> Iterator[Any]:
    """The lines of a JSONL file."""
    try:
        yield from (msgspec.json.decode(line, type=kind) for line in path.read_bytes().splitlines())
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _sweep(folder: Path) -> Figure | str:
    path = folder / "find_lr.jsonl"
    if not path.exists():
        return "no sweep was made: mm-train --find-lr"
    trials = list(_records(path, Trial))
    points = [(trial.learning_rate, trial.smoothed) for trial in trials]
    return learning_rate_plot(points, suggestion(trials))


def _embedding(run: Run, model: Model, strings: EncodedStrings | None) -> Figure | str:
    vectors = token_vectors(model)
    if model.components():
        return "each component has its own; inspect the folders in parts"
    if vectors is None:
        return f"{run.model} has none"
    labels = token_labels(run.vocabulary)
    chosen = list(range(len(labels)))
    title = f"Embeddings of {_subject(run)}"
    if len(labels) > MARKS:
        most = most_frequent(strings, len(labels), MARKS).tolist() if strings else chosen
        chosen = most[:MARKS]
        title += f": {len(chosen)} of {len(labels):,} tokens"
    return embedding_plot(vectors[chosen], [labels[i] for i in chosen], title)


def _inside(run: Run, model: Model, read: _Read) -> dict[str, Figure | str]:
    labels = [STOP_LABEL, *read.labels]
    if isinstance(model, Transformer):
        title = f"Attention in {_subject(run)} while it reads {_quoted(read.text)}"
        return {"attention": attention_plot(attention(model, read.ids), labels, title)}
    states = activations(model, read.ids)
    if not states:
        return {"activations": f"{run.model} has no hidden units"}
    title = f"Activations in {_subject(run)} while it reads {_quoted(read.text)}"
    return {"activations": activation_plot(states, labels, title)}


def _surprise(run: Run, model: Model, read: _Read) -> Figure:
    values = surprise(model, read.ids)
    title = f"Surprise of {_subject(run)} at {_quoted(read.text)}: {values.sum():.2f} bits"
    return surprise_plot(values, [*read.labels, STOP_LABEL], len(run.vocabulary), title, run.level)


def _subject(run: Run) -> str:
    return f"{run.model} trained on {run.data.name}"


def _quoted(text: str) -> str:
    return f"“{text}”" if len(text) <= 40 else f"“{text[:39]}…”"
