"""How a blend is trained: each of its components as it would be alone, then their weights."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, cast

import msgspec
import torch
from makemore.errors import OptionError
from msgspec.structs import replace

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import evaluated, log_likelihoods
from makemore_export.models import Blend, Model, ModelSpec
from makemore_export.models.blend import BlendConfig, mixture_weights
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.choices import Choices, convert, flag, options_of
from makemore_export.training.start import initial_model, open_log

Train = Callable[
    [Model, Run, Mapping[str, EncodedStrings], RunFolder, Checkpoint | None],
    Generator[Step | Record, None, None],
]
"""Trains a model of any kind, to its end."""

COMPONENTS: tuple[tuple[str, Mapping[str, Any]], ...] = (("lstm", {}), ("ngram", {}))
"""Those of a blend where none are given."""


_ALONE = Choices()  # those of a component are those of the model on its own


class BlendChoices(Choices):
    """The option `parts` holds the components, each a model and its own options."""

    def choose(self, model: str, options: Mapping[str, Any], required: Iterable[str]) -> ModelSpec:
        """Each component takes what it can of the options that are not its own."""
        components = options.get("parts", COMPONENTS)
        if len(components) < 2:
            raise OptionError(
                f"a blend has 2 components or more; --part was given {len(components)} times"
            )
        for name in required:
            if name != "parts" and not any(name in options_of(each) for each, _ in components):
                models = ", ".join(each for each, _ in components)
                raise OptionError(
                    f"{flag(name)} applies to no component of the blend ({models}); "
                    "--model names another"
                )
        specs = [_ALONE.choose(each, {**options, **own}, own) for each, own in components]
        config = convert({"parts": msgspec.to_builtins(specs)}, BlendConfig)
        return ModelSpec(model=model, config=msgspec.to_builtins(config))

    def options(self, spec: ModelSpec) -> dict[str, Any]:
        return {"parts": [(each.model, _ALONE.options(each)) for each in _components(spec)]}

    def based_on(self, base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """In each component that takes them, those given are instead of its own."""
        components = [
            (model, {**own, **{name: given[name] for name in options_of(model) if name in given}})
            for model, own in base["parts"]
        ]
        return {**base, "parts": components, **given}

    def max_steps(self, spec: ModelSpec) -> int:
        return sum(map(_ALONE.max_steps, _components(spec)))


def _components(spec: ModelSpec) -> tuple[ModelSpec, ...]:
    return msgspec.convert(spec.config, BlendConfig).parts


def train_components(
    model: Model,
    run: Run,
    splits: Mapping[str, EncodedStrings],
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
    for i, (component, spec) in enumerate(zip(blend.components(), blend.config.parts, strict=True)):
        component_run = replace(
            run, **msgspec.structs.asdict(spec), seed=run.seed + i, split_seed=run.seed
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
