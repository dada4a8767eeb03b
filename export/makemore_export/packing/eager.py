"""A model still in PyTorch, sampled by the same decode loop as its artifact will be."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from makemore import Sampler
from makemore.artifact import Artifact, Golden, ModelInfo, TrainingInfo
from makemore.runtime.torch_step import TorchStep

from makemore_export.models import Model
from makemore_export.models.labelled import with_labels
from makemore_export.packing.step_module import StepModule
from makemore_export.runs.checkpoint import read_source
from makemore_export.runs.run import Progress, Run

VERSIONS = {package: version(package) for package in ("makemore", "torch", "onnx", "onnxscript")}
"""Read at import, so that a missing package is an error before anything is trained."""


def describe(run: Run, progress: Progress, model: Model) -> Artifact:
    """The metadata of a model that a run has trained so far, without golden samples."""
    return Artifact(
        model=ModelInfo(
            type=run.model,
            config=run.config | progress.fitted,
            parameters=sum(weight.numel() for weight in model.state_dict().values()),
            precision=model.precision,
        ),
        level=run.level,
        tokens=run.tokens,
        split_pattern=run.split_pattern,
        labels=run.labels,
        block_size=model.block_size,
        max_length=run.max_length,
        states=model.states(),
        training=TrainingInfo(
            data=run.data,
            losses=progress.losses,
            steps=progress.step,
            seed=run.seed,
            refit=run.refit and progress.finished,
        ),
        versions=VERSIONS,
        golden=Golden(seed=0, strings=()),
    )


def run_sampler(path: Path) -> Sampler:
    """A sampler over the best model of a run, or over a checkpoint of one."""
    source = read_source(path)
    model = source.run.new_model()
    model.load_state_dict(source.weights)
    model.eval()
    return eager_sampler(model, describe(source.run, source.progress, model))


def eager_sampler(model: Model, artifact: Artifact, device: str = "cpu") -> Sampler:
    """Samples from `model` on its device; leaves it in eval mode."""
    size = len(artifact.vocabulary)
    module = StepModule(with_labels(model, len(artifact.labels), size).to(device))

    def new_step() -> TorchStep:
        return TorchStep(module, artifact.states, size, device, artifact.block_size)

    return Sampler(artifact, new_step, device=device)
