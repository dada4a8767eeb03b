"""The kinds of models: how the options of each are chosen, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models import Blend, CountingModel, Model
from makemore_export.models.blend import Component
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training.blending import Train, choose_components, train_components
from makemore_export.training.choices import choose
from makemore_export.training.counting import count
from makemore_export.training.gradient import descend


class Kind(NamedTuple):
    """choose: (model, options, those required) -> the model with each option that it takes.

    train: (model, run, parts, folder, start, how to train others) -> records, then the progress.
    """

    choose: Callable[[str, Mapping[str, Any], Iterable[str]], Component]
    train: Callable[
        [Model, Run, Mapping[str, EncodedStrings], RunFolder, Checkpoint | None, Train],
        Generator[Step | Record, None, Progress],
    ]


KINDS: dict[type[Model], Kind] = {
    Blend: Kind(choose_components, train_components),
    CountingModel: Kind(choose, count),  # type: ignore[type-abstract]
    Model: Kind(choose, descend),  # type: ignore[type-abstract]
}


def kind_of(model: type[Model]) -> Kind:
    """That of a model's class, or of the nearest class above it."""
    return next(KINDS[cls] for cls in model.__mro__ if cls in KINDS)
