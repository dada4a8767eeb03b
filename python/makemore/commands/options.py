"""The options that several commands of the runtime share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from makemore.commands.command import expected_errors
from makemore.limits import Limit, integer
from makemore.options import SampleOptions

F = TypeVar("F", bound=Callable[..., Any])


def limited(limit: Limit) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback for an option that takes what a limit allows; an error names it as it is typed."""

    def check(_: click.Context, parameter: click.Parameter, value: Any) -> Any:
        with expected_errors():
            return None if value is None else limit.parse(parameter.opts[-1], value)

    return check


artifact_argument = click.argument("artifact", type=click.Path(path_type=Path))
device_option = click.option(
    "--device", type=click.Choice(["cpu", "cuda", "auto"]), default="cpu", show_default=True
)
trust_option = click.option(
    "--trust",
    is_flag=True,
    help="The source of ARTIFACT is trusted: open a model.ts, which is a program.",
)
separator_option = click.option(
    "--separator",
    metavar="TEXT",
    help=r"What is between strings of several lines, such as '\n%\n'; blank: a blank line.  "
    "[default: a line is a string]",
)
threads_option = click.option(
    "--threads",
    type=int,
    callback=limited(integer(1)),
    help="Batches at once.  [default: all cores]",
)


def _flag(option: Field[Any]) -> Callable[[F], F]:
    about, none = option.metadata["about"], option.metadata["none"]
    if option.metadata["limit"].type is bool:
        return click.option(f"--{option.name.replace('_', '-')}", is_flag=True, help=about)
    return click.option(
        f"--{option.name.replace('_', '-')}",
        type=option.metadata["limit"].type,
        default=option.default,
        callback=limited(option.metadata["limit"]),
        show_default=option.default not in (None, ""),
        help=f"{about}  [default: {none}]" if none else about,
    )


def sample_options(command: F) -> F:
    """Adds a flag for each of `SampleOptions` that a command line can hold."""
    for option in reversed(fields(SampleOptions)):
        if option.metadata["flag"]:
            command = _flag(option)(command)
    return command


[batch_size_option] = [_flag(each) for each in fields(SampleOptions) if each.name == "batch_size"]
