"""How a blend is trained: each of its components as it would be alone, then their weights."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import cast

import msgspec
import torch
from msgspec.structs import replace

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import evaluated, log_likelihoods
from makemore_export.models import Blend, Model
from makemore_export.models.blend import mixture_weights
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.start import initial_model, open_log

Train = Callable[
    [Model, Run, Mapping[str, EncodedStrings], RunFolder, Checkpoint | None],
    Generator[Step | Record, None, None],
]
"""Trains a model of any kind, to its end."""


def train_components(
    model: Model,
    run: Run,
    splits: Mapping[str, EncodedStrings],
    folder: RunFolder,
    start: Checkpoint | None,
    train: Train,
) -> Generator[Step | Record, None, Progress]:
    """Trains each model of a blend in a run folder of its own, then weighs them on dev, if any."""
    blend = cast("Blend", model)
    open_log(folder, start)
    if distributed.rank() == 0:  # so that there is a run to resume
        checkpoint.save(folder.last, Checkpoint(run=run, progress=Progress(), weights={}))
    steps, seconds = 0, 0.0
    for i, (component, spec) in enumerate(zip(blend.components(), blend.config.parts, strict=True)):
        component_run = replace(
            run,
            **msgspec.structs.asdict(spec),
            seed=run.seed + i,
            split_seed=run.seed,
            refit=False,
        )
        component.load_state_dict(initial_model(component_run).state_dict())
        component_folder = folder.component(i, spec.model)
        start = distributed.shared(component_folder.latest)
        yield from train(component, component_run, splits, component_folder, start)
        trained = checkpoint.load(component_folder.best).progress
        steps, seconds = steps + trained.step, seconds + trained.seconds
    if "dev" in splits:
        dev = evaluated(splits["dev"])
        log_probs = [log_likelihoods(each, dev) for each in blend.components()]
        blend.weights.copy_(mixture_weights(torch.stack(log_probs)))
    weights = [round(weight, 4) for weight in blend.weights.tolist()]
    return Progress(step=steps, seconds=seconds, fitted={"weights": weights})
