"""An artifact from a module that was trained elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
from makemore.artifact import Artifact, Golden, ModelInfo, OriginInfo, StateSpec
from makemore.errors import ArtifactError, ExportError, OptionError, OptionTypeError
from makemore.limits import Limit, integer, shown
from makemore.vocabulary import Level
from torch import nn

from makemore_export.models import Model
from makemore_export.models.foreign import ForeignModel, SequenceModel, StepModel
from makemore_export.models.token_ids import TokenIds
from makemore_export.packing.artifact_folder import pack
from makemore_export.packing.artifact_target import NO_PAGE, check_target
from makemore_export.packing.eager import VERSIONS
from makemore_export.packing.model_card import Report
from makemore_export.packing.module_check import check_module
from makemore_export.runs.target_lock import locked

_SIZE = integer(1)
_TEXT = Limit(str, "text")
_STATE_TYPES = ("float32", "float16", "int64")

MAX_LENGTH = 100
"""Longest string made by default, in tokens, of a model that knows any position."""

RECOMPUTES = (
    "Each token computes all {block_size} positions of a string again, since the module takes "
    "whole strings. A step module, which is given its states, computes one position a token."
)


def export_model(
    module: nn.Module,
    out: str | os.PathLike[str],
    *,
    tokens: Sequence[str | None],
    level: Level = "character",
    states: Sequence[StateSpec | tuple[str, str, tuple[int, ...]]] | None = None,
    block_size: int | None = None,
    max_length: int | None = None,
    start: int | None = None,
    stop: int | None = None,
    split_pattern: str | None = None,
    name: str | None = None,
    card: str | None = None,
    reference: nn.Module | None = None,
    overwrite: bool = False,
) -> Report:
    """Writes the artifact of a PyTorch module to the folder `out`, verified; returns its report.

    module: a step module, `forward(token (B,), position (B,), *state) -> (logits (B, V), *state)`,
      if `states` is given, which may be empty; a state begins as zeros. Else a sequence module,
      `forward(tokens (B, T)) -> logits (B, T, V)`, causal, which needs a `block_size`; each token
      then computes the whole string again. It is copied, moved to the CPU and put into eval mode.
    tokens: the text of each of the module's ids from 0 on, None for one without a text. A list
      without None is that of the ids from 1 on, where 0 starts and stops every string.
    level: what a token is: "character", "word" or "token".
    states: the tensors that a step module gives back beside its logits, in order: name, type and
      shape of each, as a tuple or a `StateSpec`.
    block_size: positions that the module knows; None where any position will do.
    max_length: longest string made by default, in tokens; `block_size - 1`, or 100 without one.
    start, stop: the ids that are fed first, and that end a string, where they are not the only id
      without a text. Neither is made as a token.
    split_pattern: at level "token", the regular expression that cuts strings; None cuts off the
      longest token.
    name: of the model, in the artifact and on its card; the module's class if None.
    card: Markdown for the model card: what it is, how it was trained.
    reference: a module that sees whole strings, as a sequence module does, in the same ids; the
      module is compared with it at every position, in batches of 1, 2, 7 and 64.
    overwrite: whether an artifact at `out` may be replaced.

    `ExportError` says what keeps a module from being exported: it is not causal, is made for one
    size of batch, gives no numbers, draws random numbers, mixes the rows of a batch, or has another
    vocabulary; or that an exported file does not do what it does. `OptionError` for an option that
    cannot be. Nothing is written then.
    """
    if not isinstance(module, nn.Module) or not isinstance(reference, nn.Module | None):
        raise OptionTypeError("module and reference must be modules of PyTorch")
    block_size = _optional(_SIZE, "block_size", block_size)
    max_length = _optional(_SIZE, "max_length", max_length)
    name, card = _optional(_TEXT, "name", name), _optional(_TEXT, "card", card)
    folder = Path(out).expanduser()
    if not overwrite and folder.exists() and any(folder.iterdir() if folder.is_dir() else [1]):
        raise OptionError(f"{folder}: is there already; overwrite=True replaces an artifact")
    ids = TokenIds.of(tokens, start=start, stop=stop)
    own_size = max(len(tokens), len(ids.inputs))
    shown = name or type(module).__name__
    notes: tuple[str, ...] = ()
    declared = _states(states)

    def adapted(own: nn.Module) -> ForeignModel:
        if states is not None:
            return StepModel(own, ids, own_size, declared, block_size)
        if block_size is None:
            raise OptionError(
                "block_size is not given; a module without states takes whole strings, and needs it"
            )
        return SequenceModel(own, ids, own_size, block_size)

    if states is None:
        notes = (RECOMPUTES.format(block_size=block_size),)
    as_given = adapted(deepcopy(module).cpu())
    model = adapted(deepcopy(module).cpu()).eval()
    artifact = describe_import(
        model,
        ids.texts,
        name=shown,
        config={},
        origin=OriginInfo(format="module", name=type(module).__name__),
        level=level,
        split_pattern=split_pattern,
        max_length=max_length,
    )
    try:
        seen_whole = None if reference is None else deepcopy(reference).cpu().eval()
        check_module(model, as_given, seen_whole)
    except ExportError as error:
        raise ExportError(f"{shown}: {error}") from None
    with locked(folder):
        check_target(folder)
        return pack_import(model, artifact, folder, facts={"notes": notes, "card": card})


def _optional(limit: Limit, name: str, value: object) -> Any:
    return None if value is None else limit.parse(name, value)


def _states(
    specs: Sequence[StateSpec | tuple[str, str, tuple[int, ...]]] | None,
) -> list[StateSpec]:
    if not isinstance(specs, list | tuple | None):
        raise OptionTypeError(f"states is {shown(specs)}; it must be a list, or None")
    return [*map(_state, specs or ())]


def _state(spec: StateSpec | tuple[str, str, tuple[int, ...]]) -> StateSpec:
    try:
        if isinstance(spec, StateSpec):
            fields = msgspec.structs.asdict(spec)
        else:
            name, dtype, shape = spec
            fields = {"name": name, "dtype": dtype, "shape": shape}
        if fields["dtype"] in _STATE_TYPES:
            return msgspec.convert(fields, StateSpec, strict=True)
    except (TypeError, ValueError) as error:
        raise OptionError(f"state {spec!r:.100} is not a name, type and shape: {error}") from None
    raise OptionError(
        f"the type of state {shown(fields['name'])} is {shown(fields['dtype'])}; "
        f"it must be one of {', '.join(_STATE_TYPES)}"
    )


def describe_import(
    model: Model,
    texts: Sequence[str],
    *,
    name: str,
    config: Mapping[str, Any],
    origin: OriginInfo,
    level: Level,
    split_pattern: str | None = None,
    max_length: int | None = None,
) -> Artifact:
    """The metadata of a model from elsewhere, without golden samples; `OptionError` where it
    cannot be that of an artifact.
    """
    if max_length is None:
        max_length = MAX_LENGTH if model.block_size is None else model.block_size - 1
    artifact = Artifact(
        model=ModelInfo(
            type=name,
            config=dict(config),
            parameters=sum(weight.numel() for weight in model.state_dict().values()),
            precision=model.precision,
        ),
        level=level,
        tokens=tuple(texts),
        split_pattern=split_pattern,
        block_size=model.block_size,
        max_length=max_length,
        states=model.states(),
        origin=origin,
        versions=VERSIONS,
        golden=Golden(seed=0, strings=()),
    )
    try:
        return Artifact.from_json(artifact.to_json(), name)
    except ArtifactError as error:
        raise OptionError(str(error)) from None
    except UnicodeEncodeError as error:
        raise OptionError(f"{name}: a token or name is no text: {error}") from None


def pack_import(
    model: Model,
    artifact: Artifact,
    out: Path,
    *,
    reference: Model | None = None,
    lines: Sequence[str] | None = None,
    prints: Sequence[str] | None = None,
    facts: Mapping[str, Any],
    torchscript: bool = True,
    page: Mapping[str, bytes] = NO_PAGE,
) -> Report:
    """Writes the artifact of an imported model, as `pack` does; exporters that cannot read the
    module raise `ExportError`.
    """
    try:
        return pack(
            model,
            artifact,
            out,
            reference=reference,
            lines=lines,
            prints=prints,
            facts=facts,
            torchscript=torchscript,
            page=page,
        )
    except (ExportError, OptionError):
        raise
    except Exception as error:  # the exporters of PyTorch raise many kinds
        reason = " ".join(str(error).split())
        baked = "Constraints violated" in reason or "specialized" in reason
        what = "it is made for one size of batch: " if baked else "it cannot be exported: "
        raise ExportError(f"{artifact.model.type}: {what}{reason[:600]}") from error
