"""From a text and options to a run: what to train on what, every choice made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
from makemore.artifact import LENGTH_LIMIT, DataInfo
from makemore.errors import DataError, OptionError
from makemore.vocabulary import WORDS, Level, Vocabulary, WordVocabulary

from makemore_export.data.splits import split
from makemore_export.data.text import Text
from makemore_export.models import MODELS
from makemore_export.models.blend import BlendConfig, Component
from makemore_export.models.recipe import Recipe
from makemore_export.runs.run import Run

MAX_LENGTH = 1023
"""Longest line taken, and longest string sampled, in tokens, where nothing else limits them."""

BLEND: tuple[tuple[str, Mapping[str, Any]], ...] = (("lstm", {}), ("ngram", {}))
"""The components of a blend where none are given."""


def plan(
    text: Text,
    *,
    model: str,
    percents: tuple[float, float, float],
    keep_duplicates: bool,
    seed: int,
    options: Mapping[str, Any],
    level: Level = "character",
    vocab_size: int | None = None,
) -> tuple[Run, dict[str, list[str]]]:
    """The run, and the lines of each part of its split.

    options: those of `options_of(model)`; those left out have the model's defaults, and the block
      holds the longest line. `OptionError` for one that the model does not take, `DataError` for a
      line longer than the block.
    """
    parts = split(text.lines, percents, seed, keep_duplicates=keep_duplicates)
    vocabulary = _vocabulary(text.lines, parts["train"], level, vocab_size)
    lengths = [len(vocabulary.encode(line)) for line in text.lines]
    longest = max(lengths)
    chosen = _chosen(model, {"block_size": min(longest, MAX_LENGTH) + 1, **options}, [*options])
    block_size = _block_size(chosen)
    if block_size is not None:
        _check_lines(text, lengths, level, block_size - 1)
    run = Run(
        model=model,
        config=chosen.config,
        level=level,
        tokens=vocabulary.tokens,
        max_length=min(
            LENGTH_LIMIT, max(longest, MAX_LENGTH) if block_size is None else block_size - 1
        ),
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
        recipe=chosen.recipe,
    )
    return run, parts


def options_of(model: str) -> tuple[str, ...]:
    """Names of the options of a model: the fields of its `Config`, then those of its `Recipe`."""
    cls = MODELS[model]
    return (*cls.Config.__struct_fields__, *(Recipe.__struct_fields__ if cls.recipe else ()))


def _chosen(model: str, options: Mapping[str, Any], required: Iterable[str]) -> Component:
    """The model with each option that it takes; `OptionError` if it takes not all `required`."""
    fields = options_of(model)
    if model == "blend":
        return _chosen_blend(options, required)
    for name in required:
        if name not in fields:
            raise OptionError(
                f"{flag(name)} does not apply to model {model}, which takes "
                f"{', '.join(map(flag, fields))}"
            )
    cls = MODELS[model]
    config = {name: options[name] for name in cls.Config.__struct_fields__ if name in options}
    recipe = {name: options[name] for name in Recipe.__struct_fields__ if name in options}
    return Component(
        model=model,
        config=msgspec.to_builtins(_convert(config, cls.Config)),
        recipe=_convert(msgspec.to_builtins(cls.recipe) | recipe, Recipe) if cls.recipe else None,
    )


def _chosen_blend(options: Mapping[str, Any], required: Iterable[str]) -> Component:
    """`parts` are pairs of a model and its own options; each takes what it can of the others."""
    specs = options.get("parts", BLEND)
    if len(specs) < 2:
        raise OptionError(f"a blend has 2 parts or more; --part was given {len(specs)} times")
    for name in required:
        if name != "parts" and not any(name in options_of(part) for part, _ in specs):
            models = ", ".join(model for model, _ in specs)
            raise OptionError(
                f"{flag(name)} applies to no part of the blend ({models}); --model names another"
            )
    parts = [_chosen(part, {**options, **own}, own) for part, own in specs]
    config = _convert({"parts": [msgspec.to_builtins(part) for part in parts]}, BlendConfig)
    return Component(model="blend", config=msgspec.to_builtins(config))


def _block_size(chosen: Component) -> int | None:
    sizes = [part["config"].get("block_size") for part in chosen.config.get("parts", ())] or [
        chosen.config.get("block_size")
    ]
    return min((size for size in sizes if size is not None), default=None)


def differences(old: Run, new: Run) -> list[str]:
    """What was chosen differently for two runs on one text, in words: `seed 1, now 2`."""
    before, after = _choices(old), _choices(new)
    return [
        f"{name} {before.get(name)}, now {after.get(name)}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def _choices(run: Run) -> dict[str, Any]:
    kept = msgspec.json.decode(msgspec.json.encode(run))  # as from a checkpoint: tuples are lists
    return {
        "model": run.model,
        **kept["config"],
        **(kept["recipe"] or {}),
        "split": "/".join(f"{percent:g}" for percent in run.split),
        "keep_duplicates": run.keep_duplicates,
        "seed": run.seed,
        "level": run.level,
        "vocab_size": len(run.tokens),
        "characters": "".join(sorted({*chain(*run.tokens)})),  # another encoding gives others
    }


def flag(name: str) -> str:
    """The command line's option for a field: `--n-layer`."""
    return "--" + name.replace("_", "-")


def _vocabulary(
    lines: Sequence[str], train: Sequence[str], level: Level, size: int | None
) -> Vocabulary:
    """Every character of the text, or the most frequent words of its train part."""
    if level == "word":
        return WordVocabulary.of(train, size or WORDS)
    if size is not None:
        raise OptionError(f"--vocab-size {size} is for --level word; all characters are known")
    return Vocabulary.of(lines)


def _check_lines(text: Text, lengths: Sequence[int], level: Level, limit: int) -> None:
    for number, length in zip(text.numbers, lengths, strict=True):
        if length > limit:
            raise DataError(
                f"{text.name}: line {number} has {length} {level}s; a block of {limit + 1} "
                f"holds {limit}; a larger one: --block-size"
            )


def _convert(options: dict[str, Any], struct: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.convert(options, struct, strict=False)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        name = path.rstrip("`")  # none, where fields do not go together
        what = f"{flag(name)} is {options[name]}: " if name else ""
        raise OptionError(f"{what}{reason}") from None
