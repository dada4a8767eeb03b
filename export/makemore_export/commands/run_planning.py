"""From what a command is given to a run: every choice made and checked, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from makemore.errors import OptionError
from makemore.reading.file_bytes import STDIN
from makemore.vocabulary import Level

from makemore_export.commands.text_options import SEED, SPLIT
from makemore_export.data.lines import Lines
from makemore_export.data.reading import Reading
from makemore_export.data.splits import parse_split
from makemore_export.data.text import Content, Text, read_content
from makemore_export.runs.run import Run
from makemore_export.training import distributed
from makemore_export.training.choices import choices_of
from makemore_export.training.plan import MAX_LENGTH, check_refit, differences, plan
from makemore_export.training.presets import PRESETS, REFITTED, default_preset
from makemore_export.training.sweep import Sweep

_MANY_TOKENS = 1000
_LSTM = {"model": "lstm"}
_OF_JOB = {"device", "threads"}
_OF_TEXT = {
    "keep_duplicates",
    "has_labels",
    "level",
    "long_lines",
    "max_line_length",
    "preset",
    "refit",
    "seed",
    "split",
    "split_pattern",
    "vocab_size",
}
"""The options of a run that are none of its model."""


class PlannedRun(NamedTuple):
    """A run, and the lines of each of its splits."""

    text: Text
    run: Run
    lines: dict[str, Lines]


def given_content(path: Path | None) -> Content:
    """The text of the command line; `OptionError` where several processes would share stdin."""
    if path == STDIN:
        distributed.refuse("a text on standard input")
    return read_content(path)


def plan_run(
    text: Text, folder: Path, start: Run | None, options: Mapping[str, Any], old: Run | None
) -> PlannedRun:
    """The run that the options of a command mean.

    start: the run in `folder`, that is to go on. options: None stands for the option of `old`, else
    for the default. `OptionError` where the text or an option is not that of `start`.
    """
    given = _of_run(options)
    if start and text.sha256 != start.data.sha256:
        raise OptionError(
            f"{folder}: holds the run of another text: {start.data.name}, SHA-256 "
            f"{start.data.sha256}; that of {text.name} is {text.sha256}"
        )
    if start and (other := start.reading.differences(text.reading)):
        raise OptionError(f"{folder}: holds another run: {'; '.join(other)}")
    run, lines = planned(text, given, old)
    if start and (other := differences(start, run)):
        raise OptionError(f"{folder}: holds another run: {'; '.join(other)}")
    # That in the folder has the name that its text had, so that all its checkpoints agree.
    return PlannedRun(text, start or run, lines)


def check_options(options: Mapping[str, Any], sweeps: Sequence[Sweep] = ()) -> None:
    """`OptionError` for a value that the model of a new run does not take, before its text is read.

    Where the text decides what is the default model, the others take the same options, or fewer.
    Each value of a sweep is tried with the first of the others.
    """
    given = _of_run(options)
    check_refit(given.get("refit", False), given.get("split", parse_split(SPLIT)))
    default = _default_model(given.get("level", "character"), default_preset(0))
    first = {sweep.option: sweep.values[0] for sweep in sweeps}
    for one in [{}, *({sweep.option: value} for sweep in sweeps for value in sweep.values)]:
        model, chosen = _of_model({**given, **first, **one}, None, default)
        choices_of(model).choose(model, {"block_size": MAX_LENGTH + 1, **chosen}, [*chosen])


def _of_run(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that were given and that a run is planned with."""
    others = {*Reading.__struct_fields__, *_OF_JOB}
    return {name: v for name, v in options.items() if v is not None and name not in others}


def planned(text: Text, given: Mapping[str, Any], old: Run | None) -> tuple[Run, dict[str, Lines]]:
    """The run with the options given, else those of `old` if it has this model, else defaults."""
    level = given.get("level", old.level if old else "character")
    model, options = _of_model(given, old, _default(text, level))
    known = len(old.tokens) if old and old.level == level == "word" else None
    max_line_length = given.get("max_line_length", old.max_line_length if old else None)
    if "long_lines" in given and max_line_length is None:
        raise OptionError("--long-lines needs --max-line-length, which says what is long")
    pattern = old.split_pattern if old and old.level == level else None
    percents = given.get("split", old.split if old else parse_split(SPLIT))
    return plan(
        text,
        model=model,
        percents=percents,
        keep_duplicates=given.get("keep_duplicates", old.keep_duplicates if old else False),
        seed=given.get("seed", old.seed if old else SEED),
        level=level,
        vocab_size=given.get("vocab_size", known),
        split_pattern=given.get("split_pattern", pattern),
        has_labels=text.reading.label_column is not None
        or given.get("has_labels", bool(old.labels) if old else False),
        max_line_length=max_line_length,
        long_lines=given.get("long_lines", old.long_lines if old else "error"),
        options=options,
        refit=_refit(given, old, percents),
    )


def _refit(given: Mapping[str, Any], old: Run | None, percents: tuple[float, float, float]) -> bool:
    """Whether to train again on train and dev; a preset asks for it where there is a dev split."""
    default = old.refit if old else False
    if "preset" in given:
        default = given["preset"] in REFITTED and percents[1] > 0
    return bool(given.get("refit", default))


def _of_model(
    given: Mapping[str, Any], old: Run | None, default: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The model that is meant, and its options."""
    options = {name: value for name, value in given.items() if name not in _OF_TEXT}
    preset = given.get("preset")
    if preset and "model" in options:
        raise OptionError(f"--preset {preset} brings its own model; --model is for another one")
    if preset:
        options = _based_on(PRESETS[preset], options)
    elif "model" not in options:
        options = _based_on(_options(old) if old else default, options)
    elif old and old.model == options["model"]:
        options = _based_on(_options(old), options)
    return options.pop("model"), options


def _default(text: Text, level: Level) -> Mapping[str, Any]:
    """By the size of the text; no n-gram of so many tokens that its tables are large."""
    if len(text.lines.characters) > _MANY_TOKENS:
        return _LSTM
    return _default_model(level, default_preset(len(text.lines) - text.duplicates))


def _default_model(level: Level, preset: str) -> Mapping[str, Any]:
    return _LSTM if level == "word" else PRESETS[preset]


def _options(run: Run) -> Mapping[str, Any]:
    """The options that a run was planned with."""
    return {"model": run.model, **choices_of(run.model).options(run.spec)}


def _based_on(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return choices_of(base["model"]).based_on(base, given)
