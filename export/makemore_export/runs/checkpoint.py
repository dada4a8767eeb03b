"""A run of training on the disk: its checkpoints, and the log of its evaluations."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

import msgspec
import safetensors.torch
from makemore.errors import CheckpointError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from makemore_export.runs.atomic_files import remove_partial_files, write_file
from makemore_export.runs.checkpoint_check import check_optimizer, check_run, check_weights
from makemore_export.runs.header import (
    BEST,
    KEY,
    LAST,
    SCHEMA,
    Header,
    checkpoint_file,
    decode_header,
    unreadable,
)
from makemore_export.runs.run import Progress, Run

_WEIGHTS, _OPTIMIZER, _AVERAGE = "model.", "optimizer.", "average."
_COMPONENT = re.compile(r"(\d+)-.+")  # the folder of a component, by its number


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`weights` is the model's state dict; of a best checkpoint, nothing else is there.

    `average` has the moving averages of the parameters, if the recipe keeps any.
    """

    run: Run
    progress: Progress
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor] = {}
    average: dict[str, Tensor] = {}


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Writes one safetensors file, header in its metadata; it replaces an older one."""
    header = Header(schema=SCHEMA, run=checkpoint.run, progress=checkpoint.progress)
    tensors = {_WEIGHTS + name: tensor for name, tensor in checkpoint.weights.items()}
    tensors |= {_OPTIMIZER + name: tensor for name, tensor in checkpoint.optimizer.items()}
    tensors |= {_AVERAGE + name: tensor for name, tensor in checkpoint.average.items()}
    metadata = {KEY: msgspec.json.encode(header).decode()}
    write_file(path, safetensors.torch.save(tensors, metadata))


def load(path: Path) -> Checkpoint:
    """Reads what `save` wrote, to the CPU, and checks that what it holds fits together.

    `CheckpointError` says what is wrong with the file.
    """
    try:
        with safe_open(path, "pt") as file:
            header = decode_header(path, file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from None
    loaded = Checkpoint(
        run=header.run,
        progress=header.progress,
        weights=_with_prefix(tensors, _WEIGHTS),
        optimizer=_with_prefix(tensors, _OPTIMIZER),
        average=_with_prefix(tensors, _AVERAGE),
    )
    try:
        _check(loaded)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return loaded


def _check(checkpoint: Checkpoint) -> None:
    model = check_run(checkpoint.run)
    recipe = checkpoint.run.recipe
    if checkpoint.weights or recipe or checkpoint.progress.finished:
        check_weights(model, checkpoint.weights)
    if recipe:
        check_optimizer(model, recipe, checkpoint.optimizer, checkpoint.average)


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
        self.last = path / LAST
        self.best = path / BEST
        self.log = path / "log.jsonl"

    def component(self, number: int, model: str) -> RunFolder:
        """The run folder of a component of this run's model."""
        return RunFolder(self.path / "parts" / f"{number}-{model}")

    def components(self) -> list[RunFolder]:
        """The run folders of the components that there are, in the order of their numbers."""
        numbered = [
            (int(name[1]), path)
            for path in self.path.glob("parts/*")
            if (name := _COMPONENT.fullmatch(path.name))
        ]
        return [RunFolder(path) for _, path in sorted(numbered)]

    @property
    def refit(self) -> RunFolder:
        """The run folder of the second training of a run with `refit`."""
        return RunFolder(self.path / "refit")

    def open(self, log_bytes: int) -> None:
        """Makes the folder ready to go on from a state: drops what was logged after it.

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
        last = load(self.last) if self.last.exists() else None
        if best and last and best.run != last.run:
            raise CheckpointError(f"{self.best}: is of another run than {self.last.name}")
        return last


def read_source(source: Path) -> Checkpoint:
    """The checkpoint at `source`, or the best of a run folder; `CheckpointError` without one."""
    best = checkpoint_file(source)
    checkpoint = load(best)
    if not checkpoint.weights:
        raise CheckpointError(f"{best}: holds no weights yet; go on with its training")
    return checkpoint
