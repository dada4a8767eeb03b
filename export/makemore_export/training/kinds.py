"""The kinds of models: how the options of each are chosen, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models import MODELS, Blend, CountingModel, Model
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training.blending import BlendChoices, Train, train_components
from makemore_export.training.choices import Choices
from makemore_export.training.counting import count
from makemore_export.training.gradient import descend


class Kind(NamedTuple):
    """How the options of its models are chosen, and how one of them is trained.

    train: (model, run, splits, folder, start, how to train others) -> records, then the progress.
    """

    choices: Choices
    train: Callable[
        [Model, Run, Mapping[str, EncodedStrings], RunFolder, Checkpoint | None, Train],
        Generator[Step | Record, None, Progress],
    ]


KINDS: dict[type[Model], Kind] = {
    Blend: Kind(BlendChoices(), train_components),
    CountingModel: Kind(Choices(), count),  # type: ignore[type-abstract]
    Model: Kind(Choices(), descend),  # type: ignore[type-abstract]
}


def kind_of(model: str) -> Kind:
    """That of a model of the table: of its class, or of the nearest class above it."""
    return next(KINDS[cls] for cls in MODELS[model].__mro__ if cls in KINDS)
