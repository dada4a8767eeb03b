"""Finds out whether `mm-export` is given a run, a checkpoint or a text, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, Literal, TypeAlias

import click
from makemore.errors import CheckpointError, OptionError

from makemore_export.data.reading import Reading
from makemore_export.runs.header import BEST, KEY, LAST, read_metadata

SourceKind: TypeAlias = Literal["text", "run", "foreign"]
"""A text to train on, what `mm-train` wrote, or the checkpoint of another program."""


def kind_of_source(source: Path | None, source_format: str | None) -> SourceKind:
    """Of a file or folder; `CheckpointError` for a .safetensors that is not there.

    source_format: that of another program, as the command line says, which needs a source.
    """
    if source is None:
        if source_format is not None:
            raise OptionError(f"--from {source_format} needs a SOURCE, the checkpoint")
        return "text"
    if source_format is not None:
        return "foreign"
    if source.suffix == ".safetensors" and not source.exists():
        raise CheckpointError(f"{source}: no such file")
    if _is_foreign(source):
        return "foreign"
    return "run" if source.is_dir() or source.suffix == ".safetensors" else "text"


def _is_foreign(source: Path) -> bool:
    """Whether it is a checkpoint, and none of `mm-train`."""
    if source.is_dir():
        ours = any((source / name).exists() for name in (BEST, LAST))
        return not ours and (source / "config.json").is_file()
    try:
        if source.suffix == ".safetensors":
            return KEY not in (read_metadata(source) or {})
        with source.open("rb") as file:
            head = file.read(4)
    except (OSError, CheckpointError):
        return False
    # A zip archive, as torch.save writes, or what it wrote before: a pickle.
    return head == b"PK\x03\x04" or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05")


def refuse_options(source: Path, options: Mapping[str, Any], taken: Set[str]) -> None:
    """`OptionError` for an option of training on the command line that is none of `taken`."""
    context = click.get_current_context()
    for option in context.command.get_params(context):
        name = option.name or ""
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and name in options and name not in taken:
            use = "for --text" if name in Reading.__struct_fields__ else "for training"
            raise OptionError(f"{option.opts[0]} is {use}; {source} is trained already")
