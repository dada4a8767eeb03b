"""The records that a training yields, step by step; some of them are its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the optimizer was taken by the model of that name, on so many tokens.

    `loss` gives the mean loss since the last evaluation; asking for it may wait for the device.
    """

    model: str
    step: int
    tokens: int
    loss: Callable[[], float]


class Start(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="start"):
    """The first line of the log of a model with gradients: how it is initialised.

    `loss` is that of the untrained model, in nats per token, over up to 2,000 strings of train; a
    model that expects all V tokens alike has ln V.
    """

    model: str
    step: int = 0
    loss: float
    vocab_size: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="evaluation"):
    """A line of the log: mean losses in nats per token by split, None where infinite.

    On the way over up to 2,000 strings of train and dev, with `running_loss`, the mean loss of the
    steps since the last evaluation, `step_losses`, those of each of them, and `learning_rate`, that
    of the latest step. The last record of a run, `finished`, has the best weights' losses over all
    strings of each split, but for large ones: `lines` tells over how many of theirs. `seconds` have
    gone into the run so far.
    """

    model: str
    step: int
    losses: dict[str, float | None]
    lines: dict[str, int] = {}
    running_loss: float | None = None
    step_losses: tuple[float | None, ...] = ()
    learning_rate: float | None = None
    best: bool
    finished: bool
    seconds: float


class Refit(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="refit"):
    """A line of the log: all is chosen, by the losses over all strings of train and dev.

    From here on the same is trained anew on the strings of both, in so many `steps` in all; `step`
    were taken to choose. `seconds` have gone into the run so far.
    """

    model: str
    step: int
    losses: dict[str, float | None]
    steps: int
    seconds: float


Record: TypeAlias = Start | Evaluation | Refit
"""A line of `log.jsonl`: `msgspec.json.decode(line, type=Record)`."""
