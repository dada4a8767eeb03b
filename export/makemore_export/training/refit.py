"""Training twice: what is chosen on dev the first time is trained anew on train and dev."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from functools import partial
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from makemore_export.configs import CONFIGS, BlendConfig, ModelSpec
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.splits import BEFORE, of_refit
from makemore_export.evaluation.likelihood import evaluated, finite_or_none, mean_nll
from makemore_export.models import Blend, Model
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.header import read_header
from makemore_export.runs.records import Record, Refit, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.blending import Train
from makemore_export.training.choices import choices_of
from makemore_export.training.start import initial_model, open_log


def trained_on(splits: Mapping[str, EncodedStrings]) -> dict[str, EncodedStrings]:
    """The splits of a refit: dev is part of train."""
    test = {name: strings for name, strings in splits.items() if name == "test"}
    return {"train": splits["train"].joined(splits["dev"]), **test}


def refit(
    model: Model,
    run: Run,
    splits: Mapping[str, EncodedStrings],
    folder: RunFolder,
    start: Checkpoint | None,
    choose: Callable[..., Generator[Step | Record, None, Progress]],
    train: Train,
) -> Generator[Step | Record, None, Progress]:
    """Trains `model` as a run without refit would, then a new one on train and dev, whose weights
    it ends with. Test is not looked at.

    The second takes the steps that gave the lowest dev loss, with the learning rates that they had;
    smoothing and the weights of a mixture stay as chosen. It has a run folder of its own.
    choose: how a model of this kind is trained. train: how any run is, to its end.
    """
    first = {name: splits[name] for name in ("train", "dev")}
    open_log(folder, start)
    if start is None and run.recipe is None and distributed.rank() == 0:  # a run to resume
        checkpoint.save(folder.last, Checkpoint(run=run, progress=Progress(), weights={}))
    progress = yield from choose(model, run, first, folder, start, train)
    record, again = distributed.shared(partial(_chosen, model, run, first, folder, progress))
    yield record
    second = initial_model(again, str(first["train"].device))
    if isinstance(second, Blend):
        second.weights.copy_(cast("Blend", model).weights)
    both = {"train": trained_on(first)["train"]}
    begun = distributed.shared(folder.refit.latest)
    with closing(train(second, again, both, folder.refit, begun)) as records:
        for each in records:
            yield replace(each, model=f"refit: {each.model}")
    model.load_state_dict(second.state_dict())
    done = distributed.shared(partial(read_header, folder.refit.best)).progress
    return replace(
        done,
        seconds=record.seconds + done.seconds,
        fitted=progress.fitted,
        losses={BEFORE: record.losses["dev"]},
    )


def _chosen(
    model: Model,
    run: Run,
    splits: Mapping[str, EncodedStrings],
    folder: RunFolder,
    progress: Progress,
) -> tuple[Refit, Run]:
    """What the first training came to, and the run of the second."""
    losses = {
        name: finite_or_none(mean_nll(model, evaluated(strings)))
        for name, strings in splits.items()
    }
    spec = _as_chosen(run.spec, progress, folder)
    lines = {**run.data.split}
    lines["train"] += lines.pop("dev")
    again = replace(
        run,
        **msgspec.structs.asdict(spec),
        data=replace(run.data, split=lines),
        split=of_refit(run.split),
        refit=False,
    )
    record = Refit(
        model=run.model,
        step=progress.step,
        losses=losses,
        steps=choices_of(run.model).max_steps(spec),
        seconds=progress.seconds,
    )
    folder.append(record)
    return record, again


def _as_chosen(spec: ModelSpec, progress: Progress, folder: RunFolder) -> ModelSpec:
    """The model with what its training chose in place of what was left open."""
    config = msgspec.convert(spec.config, CONFIGS[spec.model])
    if isinstance(config, BlendConfig):
        parts = []
        for i, part in enumerate(config.parts):
            component = folder.component(i, part.model)
            parts.append(_as_chosen(part, read_header(component.best).progress, component))
        return replace(spec, config={"parts": msgspec.to_builtins(parts)})
    chosen: dict[str, Any] = {**spec.config, **progress.fitted}
    recipe = spec.recipe and replace(spec.recipe, stop_at=progress.best_step)
    return replace(spec, config=chosen, recipe=recipe)
