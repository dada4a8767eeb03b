"""The kinds of models, and how each is trained."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TypeAlias

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models import MODELS, Blend, CountingModel, Model
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training.blending import Train, train_components
from makemore_export.training.counting import count
from makemore_export.training.gradient import descend

TrainKind: TypeAlias = Callable[
    [Model, Run, Mapping[str, EncodedStrings], RunFolder, Checkpoint | None, Train],
    Generator[Step | Record, None, Progress],
]
"""(model, run, splits, folder, start, how to train others) -> records, then the progress."""

KINDS: dict[type[Model], TrainKind] = {
    Blend: train_components,
    CountingModel: count,  # type: ignore[type-abstract]
    Model: descend,  # type: ignore[type-abstract]
}


def training_of(model: str) -> TrainKind:
    """How a model of the table is trained: as its class, or as the nearest class above it."""
    return next(KINDS[cls] for cls in MODELS[model].__mro__ if cls in KINDS)
