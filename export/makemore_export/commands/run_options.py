"""The options of the models, and the run that all options plan."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import click
import msgspec
from makemore.errors import OptionError
from makemore.vocabulary import Level
from msgspec import inspect

from makemore_export.commands.text_options import SEED, SPLIT
from makemore_export.data.lines import Lines
from makemore_export.data.splits import parse_split
from makemore_export.data.text import Text
from makemore_export.models import MODELS
from makemore_export.models.recipe import Recipe
from makemore_export.runs.run import Run
from makemore_export.training.choices import flag, options_of
from makemore_export.training.kinds import kind_of
from makemore_export.training.plan import plan
from makemore_export.training.presets import PRESETS, default_preset

_MANY_TOKENS = 1000


def _parts(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> Any:
    return tuple(map(parse_part, values)) or None


def parse_part(text: str) -> tuple[str, dict[str, str]]:
    """A model and its own options from `lstm:n_hidden=256,dropout=0.4`."""
    model, _, rest = text.partition(":")
    known = [name for name in MODELS if "parts" not in options_of(name)]
    if model not in known:
        raise click.BadParameter(f"part {text!r} must begin with a model: {', '.join(known)}")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair]
    options = {name.strip().replace("-", "_"): value.strip() for name, _, value in pairs}
    for name in options:
        if name not in options_of(model):
            takes = ", ".join(options_of(model))
            raise click.BadParameter(f"part {text!r}: {name!r} is no option of {model}: {takes}")
    return model, options


def _option(name: str, field: inspect.Type) -> click.Option:
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
    return click.Option([flag(name)], metavar=metavar, help=about)


def _fields() -> dict[str, inspect.Type]:
    """The fields of `Recipe` and of every model's `Config`, but `parts`, which is `--part`."""
    structs: list[type[msgspec.Struct]] = [Recipe, *(cls.Config for cls in MODELS.values())]
    types = [inspect.type_info(struct) for struct in structs]
    found = {
        field.name: field.type
        for info in types
        if isinstance(info, inspect.StructType)
        for field in info.fields
    }
    del found["parts"]
    return found


@cache
def model_options() -> tuple[click.Option, ...]:
    """Those of `mm-train` and `mm-export`, each with one value; a new model may bring more."""
    return (
        click.Option(["--model"], type=click.Choice([*MODELS]), help="Instead of a preset."),
        click.Option(
            ["--part", "parts"],
            multiple=True,
            callback=_parts,
            metavar="MODEL[:OPTION=VALUE,...]",
            help="One component of a blend, once for each.",
        ),
        *(_option(name, field) for name, field in _fields().items()),
    )


def planned(text: Text, given: Mapping[str, Any], old: Run | None) -> tuple[Run, dict[str, Lines]]:
    """The run with the options given, else those of `old` if it has this model, else defaults."""
    options = dict(given)
    level = options.pop("level", old.level if old else "character")
    preset = options.pop("preset", None)
    if preset and "model" in options:
        raise OptionError(f"--preset {preset} brings its own model; --model is for another one")
    if preset:
        options = _based_on(PRESETS[preset], options)
    elif "model" not in options:
        options = _based_on(_options(old) if old else _default(text, level), options)
    elif old and old.model == options["model"]:
        options = _based_on(_options(old), options)
    known = len(old.tokens) if old and old.level == level == "word" else None
    max_line_length = options.pop("max_line_length", old.max_line_length if old else None)
    if "long_lines" in options and max_line_length is None:
        raise OptionError("--long-lines needs --max-line-length, which says what is long")
    pattern = old.split_pattern if old and old.level == level else None
    return plan(
        text,
        model=options.pop("model"),
        percents=options.pop("split", old.split if old else parse_split(SPLIT)),
        keep_duplicates=options.pop("keep_duplicates", old.keep_duplicates if old else False),
        seed=options.pop("seed", old.seed if old else SEED),
        level=level,
        vocab_size=options.pop("vocab_size", known),
        split_pattern=options.pop("split_pattern", pattern),
        has_labels=text.reading.label_column is not None
        or options.pop("has_labels", bool(old.labels) if old else False),
        max_line_length=max_line_length,
        long_lines=options.pop("long_lines", old.long_lines if old else "error"),
        options=options,
    )


def _default(text: Text, level: Level) -> Mapping[str, Any]:
    """A preset by the size of the text; no n-gram of so many tokens that its tables are large."""
    if level == "word" or len(text.lines.characters) > _MANY_TOKENS:
        return {"model": "lstm"}
    return PRESETS[default_preset(len(text.lines) - text.duplicates)]


def _options(run: Run) -> Mapping[str, Any]:
    """The options that a run was planned with."""
    return {"model": run.model, **kind_of(run.model).choices.options(run.spec)}


def _based_on(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return kind_of(base["model"]).choices.based_on(base, given)
