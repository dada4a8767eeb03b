"""From a text and options to a run: what to train on what, every choice made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from makemore.artifact import DataInfo
from makemore.errors import DataError, OptionError
from makemore.vocabulary import Vocabulary

from makemore_export.checkpoint import Run
from makemore_export.data import Text, split
from makemore_export.models import MODELS, CountingModel
from makemore_export.recipe import Recipe

MAX_LENGTH = 1023
"""Longest line taken, and longest string sampled, where nothing else limits them."""


def plan(
    text: Text,
    *,
    model: str,
    percents: tuple[float, float, float],
    keep_duplicates: bool,
    seed: int,
    options: Mapping[str, Any],
) -> tuple[Run, dict[str, list[str]]]:
    """The run, and the lines of each part of its split.

    options: fields of the model's `Config` and of `Recipe`; those left out have their defaults, and
      the block holds the longest line. `OptionError` for one that the model does not take,
      `DataError` for a line longer than the block.
    """
    cls = MODELS[model]
    recipe_fields = () if issubclass(cls, CountingModel) else Recipe.__struct_fields__
    fields = (*cls.Config.__struct_fields__, *recipe_fields)
    for name in options:
        if name not in fields:
            raise OptionError(
                f"{flag(name)} does not apply to model {model}, which takes "
                f"{', '.join(map(flag, fields))}"
            )
    longest = max(map(len, text.lines))
    config = {name: value for name, value in options.items() if name not in recipe_fields}
    if "block_size" in fields:
        config.setdefault("block_size", min(longest, MAX_LENGTH) + 1)
        _check_lines(text, config["block_size"] - 1)
        longest = config["block_size"] - 1
    recipe = {name: value for name, value in options.items() if name in recipe_fields}
    parts = split(text.lines, percents, seed, keep_duplicates=keep_duplicates)
    run = Run(
        model=model,
        config=msgspec.to_builtins(_convert(config, cls.Config)),
        characters=Vocabulary.of(text.lines).characters,
        max_length=longest if "block_size" in fields else max(longest, MAX_LENGTH),
        data=DataInfo(
            name=text.name,
            sha256=text.sha256,
            lines=sum(map(len, parts.values())),
            blank=text.blank,
            duplicates=text.duplicates,
            split={part: len(lines) for part, lines in parts.items()},
        ),
        split=percents,
        keep_duplicates=keep_duplicates,
        seed=seed,
        recipe=_convert(recipe, Recipe) if recipe_fields else None,
    )
    return run, parts


def differences(old: Run, new: Run) -> list[str]:
    """What was chosen differently for two runs on one text, in words: `seed 1, now 2`."""
    before, after = _choices(old), _choices(new)
    return [
        f"{name} {before.get(name)}, now {after.get(name)}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def _choices(run: Run) -> dict[str, Any]:
    return {
        "model": run.model,
        **run.config,
        **(msgspec.to_builtins(run.recipe) if run.recipe else {}),
        "split": "/".join(f"{percent:g}" for percent in run.split),
        "keep_duplicates": run.keep_duplicates,
        "seed": run.seed,
        "characters": "".join(run.characters),  # another encoding gives others
    }


def flag(name: str) -> str:
    """The command line's option for a field: `--n-layer`."""
    return "--" + name.replace("_", "-")


def _check_lines(text: Text, limit: int) -> None:
    for number, line in zip(text.numbers, text.lines, strict=True):
        if len(line) > limit:
            raise DataError(
                f"{text.name}: line {number} has {len(line)} characters; a block of {limit + 1} "
                f"holds {limit}; a larger one: --block-size"
            )


def _convert(options: dict[str, Any], struct: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.convert(options, struct)
    except msgspec.ValidationError as error:
        raise OptionError(f"bad option: {error}") from None
