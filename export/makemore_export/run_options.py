"""The options that say what to train: `mm-train` and `mm-export` share them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec
from makemore.errors import DataError
from msgspec.structs import fields

from makemore_export.checkpoint import Run
from makemore_export.data import Text, parse_split
from makemore_export.models import MODELS
from makemore_export.plan import flag, plan
from makemore_export.recipe import Recipe

Command = TypeVar("Command", bound=Callable[..., Any])
_MODEL, _SPLIT, _SEED = "transformer", "80/10/10", 1
_POSITIVE = click.IntRange(min=1)
_STRUCTS: list[type[msgspec.Struct]] = [Recipe, *(cls.Config for cls in MODELS.values())]
_DEFAULTS = {field.name: field.default for struct in _STRUCTS for field in fields(struct)}


def _percents(_: click.Context, __: click.Parameter, value: str | None) -> Any:
    try:
        return None if value is None else parse_split(value)
    except DataError as error:
        raise click.BadParameter(str(error)) from None


def _field(name: str, kind: click.ParamType[Any], about: str = "") -> Callable[[Command], Command]:
    """The option for a field of `Recipe` or of a model's `Config`."""
    return click.option(flag(name), type=kind, help=f"{about}[default: {_DEFAULTS[name]:g}]")


# An option left out is None, so that one given can be told from its default.
_OPTIONS = (
    click.option("--model", type=click.Choice([*MODELS]), help=f"[default: {_MODEL}]"),
    click.option(
        "--split", callback=_percents, help=f"Percent of train/dev/test.  [default: {_SPLIT}]"
    ),
    click.option(
        "--keep-duplicates",
        is_flag=True,
        default=None,
        help="Keep lines that repeat another one; otherwise they are dropped before the split.",
    ),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), help=f"[default: {_SEED}]"),
    click.option("--encoding", default="utf-8", show_default=True, help="Of the text."),
    _field("smoothing", click.FloatRange(min=0), "Added to each count.  "),
    _field("max_steps", _POSITIVE),
    _field("batch_size", _POSITIVE),
    _field("learning_rate", click.FloatRange(min=0, min_open=True), "At its peak.  "),
    click.option("--block-size", type=click.IntRange(min=2), help="[default: longest line + 1]"),
    _field("n_layer", _POSITIVE),
    _field("n_embd", _POSITIVE),
    _field("n_head", _POSITIVE),
    _field("dropout", click.FloatRange(0, 1, max_open=True)),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where to train.",
    ),
    click.option("--threads", type=_POSITIVE, help="Of PyTorch.  [default: all cores]"),
)


def run_options(command: Command) -> Command:
    """Adds the options to a click command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def planned(
    text: Text, given: Mapping[str, Any], old: Run | None
) -> tuple[Run, dict[str, list[str]]]:
    """The run with the options given, else those of `old` if it has this model, else defaults."""
    options = dict(given)
    model = options.pop("model", old.model if old else _MODEL)
    if old and old.model != model:
        old = None
    recipe = msgspec.to_builtins(old.recipe) if old and old.recipe else {}
    return plan(
        text,
        model=model,
        percents=options.pop("split", old.split if old else parse_split(_SPLIT)),
        keep_duplicates=options.pop("keep_duplicates", old.keep_duplicates if old else False),
        seed=options.pop("seed", old.seed if old else _SEED),
        options={**(old.config if old else {}), **recipe, **options},
    )
