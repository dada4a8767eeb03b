"""A run of training on the disk: its checkpoints, and the log of its evaluations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import safetensors.torch
from makemore.artifact import DataInfo
from makemore.errors import MakemoreError
from makemore.vocabulary import VOCABULARIES, Level, Vocabulary
from safetensors import SafetensorError, safe_open
from torch import Tensor

from makemore_export.evaluation.novelty import Novelty
from makemore_export.models import MODELS, Model, new_model
from makemore_export.models.recipe import Recipe
from makemore_export.runs.atomic_files import remove_partial_files, write_file

SCHEMA = 1
_KEY = "makemore"
_WEIGHTS, _OPTIMIZER, _AVERAGE = "model.", "optimizer.", "average."


class CheckpointError(MakemoreError, ValueError):
    """The file is not a checkpoint that this version can read, or one of another run."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained on what: the same from the first step to the last.

    `recipe` is None for a model that counts; `max_length` is the longest string to sample, in
    tokens; `split` is the percentages of train, dev, test.
    """

    model: str
    config: dict[str, Any]
    level: Level
    tokens: tuple[str, ...]
    max_length: int
    data: DataInfo
    split: tuple[float, float, float]
    keep_duplicates: bool
    seed: int
    recipe: Recipe | None

    @property
    def vocabulary(self) -> Vocabulary:
        """What encodes the strings."""
        return VOCABULARIES[self.level](self.tokens)

    def new_model(self) -> Model:
        """The model with its sizes, not yet trained; `CheckpointError` for one unknown here."""
        if self.model not in MODELS:
            raise CheckpointError(
                f"model {self.model!r} is unknown here; known: {', '.join(MODELS)}"
            )
        return new_model(self.model, self.config, len(self.vocabulary))


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run has come.

    `losses` are nats per token by part of the split, None for an infinite one: the latest in a
    last checkpoint; in a best one its own, over whole parts once the run is `finished`.
    `waited` counts the evaluations since the best one; `seconds` have gone into the run; `nats`
    over `tokens` is the mean loss of the steps since the last evaluation. `log_bytes` is the length
    of the log that belongs to this state. `fitted` is what the model chose for itself on the dev
    split, by name. `novelty` is that of the samples of a finished run.
    """

    step: int = 0
    losses: dict[str, float | None] = {}
    best_loss: float | None = None
    waited: int = 0
    seconds: float = 0.0
    nats: float = 0.0
    tokens: int = 0
    log_bytes: int = 0
    finished: bool = False
    fitted: dict[str, Any] = {}
    novelty: Novelty | None = None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`weights` is the model's state dict; of a best checkpoint, nothing else is there.

    `average` has the moving averages of the parameters, if the recipe keeps any.
    """

    run: Run
    progress: Progress
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor] = {}
    average: dict[str, Tensor] = {}


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    schema: int
    run: Run
    progress: Progress


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Writes one safetensors file, header in its metadata, in place of any before."""
    header = _Header(schema=SCHEMA, run=checkpoint.run, progress=checkpoint.progress)
    tensors = {_WEIGHTS + name: tensor for name, tensor in checkpoint.weights.items()}
    tensors |= {_OPTIMIZER + name: tensor for name, tensor in checkpoint.optimizer.items()}
    tensors |= {_AVERAGE + name: tensor for name, tensor in checkpoint.average.items()}
    metadata = {_KEY: msgspec.json.encode(header).decode()}
    write_file(path, safetensors.torch.save(tensors, metadata))


def load(path: Path) -> Checkpoint:
    """Reads what `save` wrote, to the CPU; `CheckpointError` says what is wrong with the file."""
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint: {error}") from None
    if text is None:
        raise CheckpointError(f"{path}: a safetensors file, but not made by mm-train: no metadata")
    try:
        header = msgspec.json.decode(text, type=_Header)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path}: bad checkpoint metadata: {error}") from None
    if header.schema != SCHEMA:
        raise CheckpointError(
            f"{path}: checkpoint schema {header.schema}; this version reads {SCHEMA}"
        )
    return Checkpoint(
        run=header.run,
        progress=header.progress,
        weights=_with_prefix(tensors, _WEIGHTS),
        optimizer=_with_prefix(tensors, _OPTIMIZER),
        average=_with_prefix(tensors, _AVERAGE),
    )


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


class RunFolder:
    """The folder of a run: `last.safetensors` to resume, `best.safetensors` to use, `log.jsonl`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = path / "last.safetensors"
        self.best = path / "best.safetensors"
        self.log = path / "log.jsonl"

    def open(self, log_bytes: int) -> None:
        """Makes the folder ready to go on from a state: drops what came after it.

        The caller holds the lock of the folder.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for file in (self.last, self.best):
            remove_partial_files(file)
        with self._open_log() as log:
            log.truncate(log_bytes)

    def append(self, record: msgspec.Struct) -> int:
        """Adds a line to the log; returns the length of the log after it."""
        with self._open_log() as log:
            log.write(msgspec.json.encode(record) + b"\n")
            log.flush()
            os.fsync(log.fileno())
            return log.tell()

    def _open_log(self) -> BinaryIO:
        """The log, to add to; `CheckpointError` for a symbolic link: its target is another file."""
        if self.log.is_symlink():
            raise CheckpointError(f"{self.log}: is a symbolic link, not the log of a run")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self.log, flags, 0o666), "ab")

    def latest(self) -> Checkpoint | None:
        """Where the run stands: its best checkpoint once finished, else the last, else None."""
        best = load(self.best) if self.best.exists() else None
        if best and best.progress.finished:
            return best
        return load(self.last) if self.last.exists() else None


def read_source(source: Path) -> Checkpoint:
    """The checkpoint at `source`, or the best of a run folder; `CheckpointError` without one."""
    if not source.is_dir():
        return load(source)
    best = RunFolder(source).best
    if not best.exists():
        raise CheckpointError(f"{source}: not a run that was evaluated once: no {best.name}")
    return load(best)
