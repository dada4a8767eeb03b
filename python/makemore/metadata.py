"""The parts of an artifact's metadata."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Precision = Literal["float32", "float16", "int8"]
"""Of weights, states and arithmetic; logits are float32 whatever it is."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, msgspec.Meta(max_length=10_000)]


class StateSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One state tensor of a step. `shape` leaves the batch axis out.

    `time_axis`, an axis of `shape`, promises a cache that is only added to: the step at position p
    writes slot p of that axis, reads slots 0 to p, and leaves the others as they are.
    """

    name: Text
    dtype: Precision | Literal["int64"]
    shape: tuple[int, ...]
    time_axis: int | None = None


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which model it is: a name for people, its sizes, its number of weights and their type."""

    type: Text
    config: dict[Text, Any]
    parameters: Count
    precision: Precision = "float32"


class DataInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The text it was trained on: `lines` are those kept, `split` the lines of train, dev, test."""

    name: Text
    sha256: Text
    lines: Count
    blank: Count
    duplicates: Count
    split: dict[Text, Count]


class TrainingInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How it was trained.

    `losses`: nats per token, the stop counted, by split; None where infinite.
    `refit`: the weights are those of a second training, on train and dev; the loss of dev alone
    is that of the first, by which all was chosen.
    """

    data: DataInfo
    losses: dict[Text, float | None]
    steps: Count
    seed: int
    refit: bool = False


class OriginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model comes from that was trained elsewhere.

    `format`: what it was read as: "module" for one of PyTorch, or a checkpoint's kind. `name` and
    `sha256` are those of the checkpoint's file; without one, `name` is the module's class.
    """

    format: Text
    name: Text
    sha256: Text | None = None


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """Samples at a seed with default options; any runtime must give these again.

    None where all might hang on rounding, as long strings in float16 do.
    """

    seed: Annotated[int, msgspec.Meta(ge=0)]
    strings: tuple[str, ...]
