"""Runs small enough to train within a test."""

from __future__ import annotations

from pathlib import Path

import msgspec
from makemore.artifact import Precision
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.lines import Lines
from makemore_export.data.splits import split
from makemore_export.data.text import Text
from makemore_export.models import Model
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.model_card import Report
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.run import Run
from makemore_export.training.choices import options_of
from makemore_export.training.loop import train
from makemore_export.training.plan import plan
from makemore_export.training.start import initial_model

LINES = tuple(a + b + c for a in "abcd" for b in "eiou" for c in ("", "n", "ra", "lle"))
SIZES = {
    "n_layer": 1,
    "n_embd": 8,
    "dropout": 0.0,
    "n_head": 2,
    "n_hidden": 8,
    "order": 3,
    "max_steps": 20,
    "batch_size": 8,
}


def sizes(model: str) -> dict[str, object]:
    """The smallest sizes of a model, and of those in it."""
    if model == "blend":
        return {"parts": tuple((each, sizes(each)) for each in ("gru", "ngram"))}
    return {name: size for name, size in SIZES.items() if name in options_of(model)}


def planned(model: str = "transformer", seed: int = 1, **options: object) -> tuple[Run, dict]:
    text = Text(
        lines=Lines.of(LINES),
        numbers=tuple(range(1, len(LINES) + 1)),
        name="syllables",
        sha256="0" * 64,
        blank=0,
        duplicates=0,
        crlf=0,
        bom=False,
    )
    return plan(
        text,
        model=model,
        percents=(80.0, 10.0, 10.0),
        keep_duplicates=False,
        seed=seed,
        options={**sizes(model), **options},
    )


def records(folder: Path, model: str = "transformer", **options: object):
    """The model, and the generator that trains it in `folder`, from its latest checkpoint on."""
    run, splits = planned(model, **options)
    vocabulary = run.vocabulary
    strings = {name: EncodedStrings(lines, vocabulary) for name, lines in splits.items()}
    network = initial_model(run)
    run_folder = RunFolder(folder)
    return network, train(network, run, strings, run_folder, run_folder.latest())


def trained(folder: Path, model: str = "transformer", **options: object) -> Checkpoint:
    _, steps = records(folder, model, **options)
    for _ in steps:
        pass
    return RunFolder(folder).latest()


def exported_in(
    precision: Precision, model: str, folder: Path
) -> tuple[Path, Report, Model, Lines]:
    """Folder of an artifact, its report, the model in float32, its held-out split."""
    source = trained(folder / "run", model)
    report = export(source, folder / "artifact", precision=precision, lines=LINES)
    network = source.run.new_model().eval()
    network.load_state_dict(source.weights)
    held_out = split(LINES, source.run.split, source.run.seed)["test"]
    return folder / "artifact", report, network, held_out


def same(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether runs ended alike, to the last bit of their weights."""
    assert msgspec.json.encode(one.run) == msgspec.json.encode(other.run)
    assert one.progress.losses == other.progress.losses
    return all(bool((one.weights[name] == other.weights[name]).all()) for name in one.weights)
