"""From a checkpoint to an artifact: export, verify, put in place, or change nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import makemore
import msgspec
from makemore.artifact import Artifact, Precision
from makemore.fingerprints import MAX_LINES, Fingerprints
from msgspec.structs import replace

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.splits import BOTH, of_refit, split
from makemore_export.evaluation.label_losses import label_losses
from makemore_export.evaluation.likelihood import evaluated, mean_nll
from makemore_export.evaluation.likely_strings import likely_strings
from makemore_export.evaluation.novelty import as_made
from makemore_export.models import Model
from makemore_export.models.labelled import with_labels
from makemore_export.packing.artifact_target import NO_PAGE, TORCHSCRIPT, check_target
from makemore_export.packing.eager import describe
from makemore_export.packing.golden_samples import golden_samples
from makemore_export.packing.model_card import Report, model_card
from makemore_export.packing.onnx_export import to_onnx
from makemore_export.packing.precision import in_precision
from makemore_export.packing.step_module import StepModule
from makemore_export.packing.torchscript_export import to_torchscript
from makemore_export.packing.verification import MAX_BYTES, Verification, verify
from makemore_export.runs.atomic_files import prepared_folder, replace_folder
from makemore_export.runs.checkpoint import Checkpoint
from makemore_export.runs.target_lock import locked

MODEL_FILES = {"model.onnx": to_onnx, TORCHSCRIPT: to_torchscript}


def export(
    source: Checkpoint,
    out: Path,
    *,
    precision: Precision = "float32",
    lines: Sequence[str] | None = None,
    fingerprints: bool = True,
    torchscript: bool = True,
    page: Mapping[str, bytes] = NO_PAGE,
) -> Report:
    """Writes the artifact of `source` to the folder `out`, in place of an artifact there.

    precision: see `in_precision`. lines: all of the text of `source`, to measure the loss in that
    precision, and for the fingerprints of the lines, which are left out without it or with
    `fingerprints` False. torchscript: with the file `TORCHSCRIPT`. page: files to write beside it,
    by name.
    At every moment `out` is wholly the old or the new one. `ExportError` if an exported file does
    not do what the model does; `OptionError` if `out` holds anything else, or if another process
    exports to it.
    """
    with locked(out):
        return replace_artifact(
            source,
            out,
            precision=precision,
            lines=lines,
            fingerprints=fingerprints,
            torchscript=torchscript,
            page=page,
        )


def replace_artifact(
    source: Checkpoint,
    out: Path,
    *,
    precision: Precision = "float32",
    lines: Sequence[str] | None = None,
    fingerprints: bool = True,
    torchscript: bool = True,
    page: Mapping[str, bytes] = NO_PAGE,
) -> Report:
    """What `export` does, for a caller that holds the lock of `out`."""
    check_target(out)
    model = source.run.new_model()
    model.load_state_dict(source.weights)
    model.eval()
    exported = in_precision(model, precision)
    facts: dict[str, Any] = {
        "finished": source.progress.finished,
        "losses": source.progress.losses,
        "novelty": source.progress.novelty,
    }
    if lines and exported is not model:
        facts[f"{precision}_losses"] = _held_out(exported, source, lines)
    artifact = describe(source.run, source.progress, exported)
    labels, vocab_size = len(artifact.labels), len(artifact.vocabulary)
    model, exported = (with_labels(each, labels, vocab_size) for each in (model, exported))
    if labels and lines:
        facts["label_losses"] = label_losses(model, artifact, lines)
    prints = lines if fingerprints else None
    return pack(
        exported,
        artifact,
        out,
        reference=model if precision == "float16" else None,
        lines=lines,
        prints=prints,
        facts=facts,
        torchscript=torchscript,
        page=page,
    )


def pack(
    model: Model,
    artifact: Artifact,
    out: Path,
    *,
    reference: Model | None = None,
    lines: Sequence[str] | None = None,
    prints: Sequence[str] | None = None,
    facts: Mapping[str, Any],
    torchscript: bool = True,
    page: Mapping[str, bytes] = NO_PAGE,
) -> Report:
    """Writes the artifact of a model in eval mode, for a caller that holds the lock of `out`.

    artifact: its metadata, without golden samples. reference: the same model in float32, which the
    files are compared with; None for `model` itself. lines: of its text, for the model card.
    prints: the lines whose fingerprints are stored. facts: the fields of the report that are known.
    torchscript: with the file `TORCHSCRIPT`. page: files to write beside it, by name.
    """
    target = out.resolve()
    artifact = replace(artifact, golden=golden_samples(model, artifact))
    stored = _fingerprints(artifact, prints) if prints else None
    with prepared_folder(target) as prepared:
        step = StepModule(model)
        files = [name for name in MODEL_FILES if torchscript or name != TORCHSCRIPT]
        digests, checks = _write(prepared, files, step, artifact, reference or model, stored)
        report = Report(
            **facts,
            fingerprints=0 if stored is None else len(stored),
            most_likely=likely_strings(makemore.load(prepared, max_bytes=MAX_BYTES), lines),
            verification=checks,
            sha256=digests,
        )
        _describe(prepared, artifact, report)
        for name, content in page.items():
            (prepared / name).write_bytes(content)
        check_target(out)  # it may have changed meanwhile
        replace_folder(prepared, target)
    return report


def _write(
    folder: Path,
    files: Sequence[str],
    step: StepModule,
    artifact: Artifact,
    model: Model,
    fingerprints: Fingerprints | None,
) -> tuple[dict[str, str], tuple[Verification, ...]]:
    """Writes the files, each compared with `model`; SHA-256 by file, what was found of each."""
    digests, verifications = {}, []
    for name in files:
        data = MODEL_FILES[name](step, artifact, fingerprints)
        (folder / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
        verifications.append(verify(folder / name, model, artifact))
    return digests, tuple(verifications)


def _fingerprints(artifact: Artifact, lines: Sequence[str]) -> Fingerprints | None:
    """Those of the lines as the model would make them; None where there are too many."""
    prints = Fingerprints.of(as_made(artifact, lines))
    return prints if len(prints) <= MAX_LINES else None


def _held_out(model: Model, source: Checkpoint, lines: Sequence[str]) -> dict[str, float | None]:
    """The loss on the last split, by its name; None if infinite."""
    run = source.run
    refitted = run.refit and source.progress.finished
    percents = of_refit(run.split) if refitted else run.split
    seed = run.seed if run.split_seed is None else run.split_seed
    splits = split(lines, percents, seed, keep_duplicates=run.keep_duplicates)
    name, held_out = [*splits.items()][-1]
    name = BOTH if refitted and name == "train" else name
    loss = mean_nll(model, evaluated(EncodedStrings(held_out, run.vocabulary)))
    return {name: loss if math.isfinite(loss) else None}


def _describe(folder: Path, artifact: Artifact, report: Report) -> None:
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (folder / "report.json").write_bytes(text + b"\n")
    card = model_card(artifact, report)
    (folder / "README.md").write_text(card, encoding="utf-8")
