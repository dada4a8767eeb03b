"""What a checkpoint says of itself: all of it but the tensors, read without PyTorch."""

from __future__ import annotations

from pathlib import Path

import msgspec
from makemore.errors import CheckpointError

from makemore_export.runs.missing_package import missing_package_named
from makemore_export.runs.run import Progress, Run
from makemore_export.runs.run_check import check_choices

SCHEMA = 1
KEY = "makemore"
"""Of the metadata of a safetensors file."""

BEST, LAST = "best.safetensors", "last.safetensors"
"""The checkpoints of a run folder."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of a checkpoint, as JSON."""

    schema: int
    run: Run
    progress: Progress


# Made at import: msgspec looks up the types of a struct at their first use, without a lock.
_DECODER = msgspec.json.Decoder(Header)


def read_header(path: Path) -> Header:
    """That of the checkpoint at `path`; `CheckpointError` says what is wrong with the file."""
    return decode_header(path, read_metadata(path))


def read_metadata(path: Path) -> dict[str, str] | None:
    """That of a safetensors file, None where it has none; `CheckpointError` for another file,
    `MissingDependencyError` without the package safetensors.
    """
    with missing_package_named("to read a checkpoint"):
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415
    try:
        with safe_open(path, "numpy") as file:
            metadata: dict[str, str] | None = file.metadata()
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from None
    return metadata


def decode_header(path: Path, metadata: dict[str, str] | None) -> Header:
    """That in the metadata of the checkpoint at `path`, or else `CheckpointError`."""
    text = (metadata or {}).get(KEY)
    if text is None:
        raise CheckpointError(f"{path}: a safetensors file, but not made by mm-train: no metadata")
    try:
        header = _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: bad checkpoint metadata: {error}") from None
    if header.schema != SCHEMA:
        raise CheckpointError(
            f"{path}: checkpoint schema {header.schema}; this version reads {SCHEMA}"
        )
    try:
        check_choices(header.run)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return header


def unreadable(path: Path, error: Exception) -> CheckpointError:
    """What to raise where `safe_open` cannot read `path`."""
    return CheckpointError(f"{path}: not a readable checkpoint: {error}")


def stored_run(folder: Path) -> Run | None:
    """What is trained in a run folder; None where there is nothing to go on with."""
    best, last = folder / BEST, folder / LAST
    if best.exists() and (header := read_header(best)).progress.finished:
        return header.run
    return read_header(last).run if last.exists() else None


def checkpoint_file(source: Path) -> Path:
    """`source`, or the best checkpoint of a run folder; `CheckpointError` where it has none."""
    if not source.is_dir():
        return source
    best = source / BEST
    if not best.exists():
        if runs := sorted(source.glob(f"*=*/{BEST}")):
            raise CheckpointError(
                f"{source}: holds the {len(runs)} runs of a sweep; name one of them: "
                f"{source / 'OPTION=VALUE'}, such as {runs[0].parent}"
            )
        raise CheckpointError(f"{source}: not a run that was evaluated once: no {best.name}")
    return best
