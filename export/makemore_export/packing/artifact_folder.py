"""From a checkpoint to an artifact: export, verify, put in place; or leave no trace."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Sequence
from copy import deepcopy
from itertools import accumulate, takewhile
from pathlib import Path

import msgspec
import torch
from makemore import Sample, Sampler
from makemore._core import coin
from makemore.artifact import Artifact, Golden, Precision
from makemore.errors import OptionError
from makemore.vocabulary import STOP
from msgspec.structs import replace

from makemore_export import checkpoint
from makemore_export.atomic import beside, replace_folder
from makemore_export.checkpoint import Checkpoint, CheckpointError, Run, RunFolder
from makemore_export.data import Strings, split
from makemore_export.eager import describe, eager_sampler
from makemore_export.evaluation import mean_nll
from makemore_export.model_card import Report, model_card
from makemore_export.models import Model
from makemore_export.onnx_export import to_onnx
from makemore_export.step_module import StepModule
from makemore_export.torchscript_export import to_torchscript
from makemore_export.verification import Verification, verify

MODEL_FILES = {"model.onnx": to_onnx, "model.ts": to_torchscript}
FILES = frozenset({*MODEL_FILES, "README.md", "report.json"})
"""What an artifact's folder holds, and nothing else."""

_GOLDEN_SEEDS = 8
_GOLDEN_SAMPLES = 32
_GOLDEN_TOKENS = 1024

# Engines round otherwise, and in float16 so much that the CDFs of two of them were up to 0.0014
# apart; coins are to keep farther from every step than that.
_MARGIN: dict[Precision, float] = {"float32": 1e-6, "float16": 2e-3}


def read_source(source: Path) -> Checkpoint:
    """The checkpoint at `source`, or the best of a run folder; `CheckpointError` without one."""
    if not source.is_dir():
        return checkpoint.load(source)
    best = RunFolder(source).best
    if not best.exists():
        raise CheckpointError(f"{source}: not a run that was evaluated once: no {best.name}")
    return checkpoint.load(best)


def check_target(out: Path) -> None:
    """`OptionError` unless `out` is free, empty, or holds an artifact and nothing else."""
    if out.resolve() == Path.cwd():
        raise OptionError(
            f"{out}: is the working directory, which cannot be replaced; name another"
        )
    if not out.exists():
        return
    if not out.is_dir():
        raise OptionError(f"{out}: is a file; an artifact is a folder")
    names = {path.name for path in out.iterdir()}
    if names - FILES or (names and "model.onnx" not in names):
        raise OptionError(
            f"{out}: holds {min(names - FILES or names)!r}, so it is not an artifact to replace"
        )


def export(
    source: Checkpoint, out: Path, *, half: bool = False, lines: Sequence[str] | None = None
) -> Report:
    """Writes the artifact of `source` to the folder `out`, in place of an artifact there.

    half: in float16. lines: all of the text of `source`, so that the loss of float16 can be told.
    At every moment `out` is wholly the old or the new one. `ExportError` if an exported file does
    not do what the model does; `OptionError` if `out` holds anything else.
    """
    check_target(out)
    target = out.resolve()
    model = source.run.new_model()
    model.load_state_dict(source.weights)
    model.eval()
    exported = deepcopy(model).half() if half else model
    artifact = describe(source.run, source.progress, exported)
    artifact = replace(artifact, golden=_golden(exported, artifact))
    prepared = beside(target)
    shutil.rmtree(prepared, ignore_errors=True)
    prepared.mkdir(parents=True)
    try:
        digests, checks = _write(prepared, StepModule(exported), artifact, model)
        report = Report(
            finished=source.progress.finished,
            losses=source.progress.losses,
            float16_losses=_held_out(exported, source.run, lines) if half and lines else None,
            novelty=source.progress.novelty,
            verification=checks,
            sha256=digests,
        )
        _describe(prepared, artifact, report)
        check_target(out)  # it may have changed meanwhile
        replace_folder(prepared, target)
    finally:
        shutil.rmtree(prepared, ignore_errors=True)
    return report


def _golden(model: Model, artifact: Artifact) -> Golden:
    """Samples that every engine should give again, though no two agree on the last bits of a logit:
    of a few seeds, the one with the most whose coins keep clear of where another token would be
    chosen, and of those where they keep farthest.
    """
    sampler = eager_sampler(model, artifact)
    tried = [_clear(model, sampler, seed) for seed in range(_GOLDEN_SEEDS)]
    return max(tried, key=lambda found: found[:2])[-1]


def _clear(model: Model, sampler: Sampler, seed: int) -> tuple[int, float, Golden]:
    """How many of the first samples of a seed keep clear, by how much all do, and those."""
    mask = sampler.vocabulary.mask()
    samples = _few(sampler.sample_ids(_GOLDEN_SAMPLES, seed=seed))
    margins = [_margin(model, mask, sample) for sample in samples]
    margins = [*takewhile(lambda margin: margin > _MARGIN[model.precision], margins)]
    strings = tuple(sample.text for sample in samples[: len(margins)])
    return len(strings), min(margins, default=0.0), Golden(seed=seed, strings=strings)


def _few(samples: list[Sample]) -> list[Sample]:
    """The first samples, up to `_GOLDEN_TOKENS` in all: each coin may be the one missed."""
    ends = accumulate(len(sample.ids) + 1 for sample in samples)
    return samples[: max(1, sum(end <= _GOLDEN_TOKENS for end in ends))]


@torch.inference_mode()
def _margin(model: Model, mask: Sequence[int], sample: Sample) -> float:
    """Least distance of the coins of a sample to the steps of the CDFs they were thrown at."""
    said = [STOP, *sample.ids.tolist()]
    thrown = len(said) if sample.finish_reason == "stop" else len(said) - 1
    logits = model(torch.tensor([said[:thrown]]))[0]  # (thrown, V)
    logits[:, mask] = -torch.inf
    steps = logits.double().softmax(-1).cumsum(-1)
    coins = [coin(sample.seed, sample.row, position) for position in range(thrown)]
    return float((steps - torch.tensor(coins, dtype=torch.float64)[:, None]).abs().min())


def _write(
    folder: Path, step: StepModule, artifact: Artifact, model: Model
) -> tuple[dict[str, str], tuple[Verification, ...]]:
    """Writes the files, each compared with `model`; SHA-256 by file, what was found of each."""
    digests, verifications = {}, []
    for name, convert in MODEL_FILES.items():
        data = convert(step, artifact)
        (folder / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
        verifications.append(verify(folder / name, model, artifact))
    return digests, tuple(verifications)


def _held_out(model: Model, run: Run, lines: Sequence[str]) -> dict[str, float | None]:
    """The loss of the last part of the split, by its name; None if infinite."""
    parts = split(lines, run.split, run.seed, keep_duplicates=run.keep_duplicates)
    name, held_out = [*parts.items()][-1]
    loss = mean_nll(model, Strings(held_out, run.vocabulary))
    return {name: loss if math.isfinite(loss) else None}


def _describe(folder: Path, artifact: Artifact, report: Report) -> None:
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (folder / "report.json").write_bytes(text + b"\n")
    card = model_card(artifact, report)
    (folder / "README.md").write_text(card, encoding="utf-8")
