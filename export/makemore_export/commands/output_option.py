"""The option that names the folder to write, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def output_option(what: str) -> Callable[[Command], Command]:
    """Adds `-o`: a path whose name is UTF-8, as the files that contain it need."""
    return click.option(
        "-o",
        "--output",
        "out",
        required=True,
        type=click.Path(path_type=Path),
        callback=_utf8,
        help=what,
    )


def _utf8(_: click.Context, __: click.Parameter, path: Path) -> Path:
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError:
        shown = str(path.resolve()).encode(errors="backslashreplace").decode()
        raise click.BadParameter(f"{shown}: a path that is not UTF-8 cannot be used") from None
    return path
