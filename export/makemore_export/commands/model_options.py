"""The options of the models: `mm-train` and `mm-export` share them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec
from msgspec import inspect

from makemore_export.configs import CONFIGS, Recipe
from makemore_export.training.choices import flag, options_of

Command = TypeVar("Command", bound=Callable[..., Any])


def _parts(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> Any:
    return tuple(map(parse_part, values)) or None


def parse_part(text: str) -> tuple[str, dict[str, str]]:
    """A model and its own options from `lstm:n_hidden=256,dropout=0.4`."""
    model, _, rest = text.partition(":")
    known = [name for name in CONFIGS if "parts" not in options_of(name)]
    if model not in known:
        raise click.BadParameter(f"part {text!r} must begin with a model: {', '.join(known)}")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair]
    options = {name.strip().replace("-", "_"): value.strip() for name, _, value in pairs}
    for name in options:
        if name not in options_of(model):
            takes = ", ".join(options_of(model))
            raise click.BadParameter(f"part {text!r}: {name!r} is no option of {model}: {takes}")
    return model, options


def _option(name: str, field: inspect.Type) -> Callable[[Command], Command]:
    """The option of a field of `Recipe` or of a `Config`, with its description as the help."""
    about = None
    while isinstance(field, (inspect.Metadata, inspect.UnionType)):
        if isinstance(field, inspect.Metadata):
            about = (field.extra_json_schema or {}).get("description", about)
            field = field.type
        else:
            field = next(t for t in field.types if not isinstance(t, inspect.NoneType))
    if isinstance(field, inspect.LiteralType):
        metavar = f"[{'|'.join(map(str, field.values))}]"
    else:
        metavar = type(field).__name__.removesuffix("Type").upper()
    return click.option(flag(name), metavar=metavar, help=about)


def _fields() -> dict[str, inspect.Type]:
    """The fields of `Recipe` and of every model's `Config`, but `parts`, which is `--part`."""
    structs: list[type[msgspec.Struct]] = [Recipe, *CONFIGS.values()]
    types = [inspect.type_info(struct) for struct in structs]
    found = {
        field.name: field.type
        for info in types
        if isinstance(info, inspect.StructType)
        for field in info.fields
    }
    del found["parts"]
    return found


def model_options(command: Command) -> Command:
    """Adds the options to a click command, those of every model; a new model may bring more."""
    options = (
        click.option("--model", type=click.Choice([*CONFIGS]), help="Instead of a preset."),
        click.option(
            "--part",
            "parts",
            multiple=True,
            callback=_parts,
            metavar="MODEL[:OPTION=VALUE,...]",
            help="One component of a blend, once for each.",
        ),
        *(_option(name, field) for name, field in _fields().items()),
    )
    for option in reversed(options):
        command = option(command)
    return command
