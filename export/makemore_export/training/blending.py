"""How a blend is trained: each of its components as it would be alone, then their weights."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, cast

import msgspec
import torch
from makemore.errors import OptionError
from msgspec.structs import replace

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import log_likelihoods
from makemore_export.models import Blend, Model
from makemore_export.models.blend import BlendConfig, Component, mixture_weights
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.choices import choose, convert, flag, options_of
from makemore_export.training.start import initial_model, open_log

Train = Callable[
    [Model, Run, Mapping[str, EncodedStrings], RunFolder, Checkpoint | None],
    Generator[Step | Record, None, None],
]
"""Trains a model of any kind, to its end."""

COMPONENTS: tuple[tuple[str, Mapping[str, Any]], ...] = (("lstm", {}), ("ngram", {}))
"""Those of a blend where none are given."""


def choose_components(model: str, options: Mapping[str, Any], required: Iterable[str]) -> Component:
    """`parts` are pairs of a model and its own options; each takes what it can of the others."""
    specs = options.get("parts", COMPONENTS)
    if len(specs) < 2:
        raise OptionError(f"a blend has 2 parts or more; --part was given {len(specs)} times")
    for name in required:
        if name != "parts" and not any(name in options_of(part) for part, _ in specs):
            models = ", ".join(component for component, _ in specs)
            raise OptionError(
                f"{flag(name)} applies to no part of the blend ({models}); --model names another"
            )
    parts = [choose(part, {**options, **own}, own) for part, own in specs]
    config = convert({"parts": [msgspec.to_builtins(part) for part in parts]}, BlendConfig)
    return Component(model=model, config=msgspec.to_builtins(config))


def train_components(
    model: Model,
    run: Run,
    parts: Mapping[str, EncodedStrings],
    folder: RunFolder,
    start: Checkpoint | None,
    train: Train,
) -> Generator[Step | Record, None, Progress]:
    """Trains each model of a blend in a run folder of its own, then weighs them on dev."""
    blend = cast("Blend", model)
    open_log(folder, start)
    if distributed.rank() == 0:  # so that there is a run to resume
        checkpoint.save(folder.last, Checkpoint(run=run, progress=Progress(), weights={}))
    steps, seconds = 0, 0.0
    for i, (of_component, component) in enumerate(
        zip(blend.models(), blend.config.parts, strict=True)
    ):
        component_run = replace(run, **msgspec.structs.asdict(component), seed=run.seed + i)
        of_component.load_state_dict(initial_model(component_run).state_dict())
        component_folder = RunFolder(folder.path / "parts" / f"{i}-{component.model}")
        start = distributed.shared(component_folder.latest)
        yield from train(of_component, component_run, parts, component_folder, start)
        trained = checkpoint.load(component_folder.best).progress
        steps, seconds = steps + trained.step, seconds + trained.seconds
    if "dev" in parts:
        log_probs = [log_likelihoods(each, parts["dev"]) for each in blend.models()]
        blend.weights.copy_(mixture_weights(torch.stack(log_probs)))
    weights = [round(weight, 4) for weight in blend.weights.tolist()]
    return Progress(step=steps, seconds=seconds, fitted={"weights": weights})
