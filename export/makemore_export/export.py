"""From a checkpoint to an artifact: export, verify, put in place; or leave no trace."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import msgspec
import torch
from makemore import Sample
from makemore._core import coin
from makemore.artifact import Artifact, Golden
from makemore.errors import OptionError
from makemore.vocabulary import STOP
from msgspec.structs import replace

from makemore_export import checkpoint
from makemore_export.atomic import beside, replace_folder
from makemore_export.checkpoint import Checkpoint, CheckpointError, RunFolder
from makemore_export.eager import describe, eager_sampler
from makemore_export.model_card import Report, model_card
from makemore_export.models import Model
from makemore_export.onnx_export import to_onnx
from makemore_export.step_module import StepModule
from makemore_export.torchscript_export import to_torchscript
from makemore_export.verification import verify

MODEL_FILES = {"model.onnx": to_onnx, "model.ts": to_torchscript}
FILES = frozenset({*MODEL_FILES, "README.md", "report.json"})
"""What an artifact's folder holds, and nothing else."""

_GOLDEN_SEEDS = 8
_GOLDEN_SAMPLES = 32
_GOLDEN_TOKENS = 1024


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


def export(source: Checkpoint, out: Path) -> Report:
    """Writes the artifact of `source` to the folder `out`, in place of an artifact there.

    At every moment `out` is wholly the old or the new one. `ExportError` if an exported file does
    not do what the model does; `OptionError` if `out` holds anything else.
    """
    check_target(out)
    target = out.resolve()
    model = source.run.new_model()
    model.load_state_dict(source.weights)
    model.eval()
    artifact = describe(source.run, source.progress, model)
    artifact = replace(artifact, golden=_golden(model, artifact))
    prepared = beside(target)
    shutil.rmtree(prepared, ignore_errors=True)
    prepared.mkdir(parents=True)
    try:
        report = _fill(prepared, StepModule(model), artifact, source)
        check_target(out)  # it may have changed meanwhile
        replace_folder(prepared, target)
    finally:
        shutil.rmtree(prepared, ignore_errors=True)
    return report


def _golden(model: Model, artifact: Artifact) -> Golden:
    """Samples that every engine should give again, though no two agree on the last bits of a logit:
    of a few seeds, the one whose coins keep farthest from where another token would be chosen.
    """
    sampler = eager_sampler(model, artifact)
    tried = [_few(sampler.sample_ids(_GOLDEN_SAMPLES, seed=seed)) for seed in range(_GOLDEN_SEEDS)]
    mask = sampler.vocabulary.mask()
    best = max(tried, key=lambda samples: min(_margin(model, mask, sample) for sample in samples))
    return Golden(seed=best[0].seed, strings=tuple(sample.text for sample in best))


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


def _fill(folder: Path, step: StepModule, artifact: Artifact, source: Checkpoint) -> Report:
    digests, verifications = {}, []
    for name, convert in MODEL_FILES.items():
        data = convert(step, artifact)
        (folder / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
        verifications.append(verify(folder / name, step.model, artifact))
    report = Report(
        finished=source.progress.finished,
        losses=source.progress.losses,
        novelty=source.progress.novelty,
        verification=tuple(verifications),
        sha256=digests,
    )
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (folder / "report.json").write_bytes(text + b"\n")
    card = model_card(artifact, report)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return report
