"""From a text and options to a run: what to train on what, every choice made."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from makemore.artifact import LENGTH_LIMIT, DataInfo
from makemore.errors import DataError, OptionError
from makemore.token_vocabulary import TokenVocabulary, new_vocabulary
from makemore.vocabulary import LABEL_END, Level, Vocabulary
from makemore.word_vocabulary import WORDS, WordVocabulary
from numpy.typing import NDArray

from makemore_export.configs import CONFIGS
from makemore_export.data.encoding import encoded_lengths
from makemore_export.data.labels import labels_of
from makemore_export.data.lines import Lines
from makemore_export.data.long_lines import LongLines, without_long_lines
from makemore_export.data.splits import split
from makemore_export.data.text import Text
from makemore_export.runs.run import Run
from makemore_export.training.choices import choices_of

MAX_LENGTH = 1023
"""Longest line taken, and longest string sampled, in tokens, where nothing else limits them."""


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
    split_pattern: str | None = None,
    has_labels: bool = False,
    max_line_length: int | None = None,
    long_lines: LongLines = "error",
    refit: bool = False,
) -> tuple[Run, dict[str, Lines]]:
    """The run, and the lines of each of its splits.

    options: those of `options_of(model)`; those left out have the model's defaults, and the block
      holds the longest line. `OptionError` for one that the model does not take, `DataError` for a
      line longer than the block.
    """
    check_refit(refit, percents)
    _check_separator(text, percents)
    text = without_long_lines(text, max_line_length, long_lines, has_labels=has_labels)
    splits = split(text.lines, percents, seed, keep_duplicates=keep_duplicates)
    labels = labels_of(text) if has_labels else ()
    strings, train = (
        Lines.of(line.partition(LABEL_END)[2] for line in lines) if labels else lines
        for lines in (text.lines, splits["train"])
    )
    tokens = _vocabulary(strings, train, level, vocab_size, split_pattern).tokens
    vocabulary = new_vocabulary(level, tokens, split_pattern, labels)
    lengths = encoded_lengths(text.lines, vocabulary)
    longest = int(lengths.max())
    defaults = {"block_size": min(longest, MAX_LENGTH) + 1}
    chosen = choices_of(model).choose(model, defaults | {**options}, [*options])
    block_size = choices_of(model).block_size(chosen)
    if block_size is not None:
        _check_lines(text, lengths, level, block_size - 1, bool(labels))
    run = Run(
        model=model,
        config=chosen.config,
        level=level,
        tokens=tokens,
        max_length=min(
            LENGTH_LIMIT,
            max(longest, MAX_LENGTH) if block_size is None else block_size - 1 - bool(labels),
        ),
        data=DataInfo(
            name=text.name,
            sha256=text.sha256,
            lines=sum(map(len, splits.values())),
            blank=text.blank,
            duplicates=text.duplicates,
            split={name: len(lines) for name, lines in splits.items()},
        ),
        split=percents,
        keep_duplicates=keep_duplicates,
        seed=seed,
        recipe=chosen.recipe,
        split_pattern=split_pattern,
        labels=labels,
        max_line_length=max_line_length,
        long_lines=long_lines,
        reading=text.reading,
        refit=refit,
    )
    return run, splits


def check_refit(refit: bool, percents: tuple[float, float, float]) -> None:
    """`OptionError` for a refit after a split that leaves nothing to choose on."""
    if refit and not percents[1]:
        shown = "/".join(f"{percent:g}" for percent in percents)
        raise OptionError(
            f"--refit trains anew with what was chosen on dev, of which --split {shown} leaves none"
        )


def _check_separator(text: Text, percents: tuple[float, float, float]) -> None:
    """`DataError` for one item that is to be split, since nothing in the text separates two."""
    separator = text.reading.separator
    if separator is not None and len(text.lines) == 1 and percents[0] < 100:
        raise DataError(
            f"{text.name}: is one item, of which no split can be made: the --separator "
            f"{separator} does not occur between two; --split 100 trains on all of it"
        )


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
    # An option that is newer than the checkpoint has its default there, in parts of a blend too.
    config = msgspec.to_builtins(msgspec.convert(run.config, CONFIGS[run.model]))
    return {
        "model": run.model,
        **config,
        **(kept["recipe"] or {}),
        "split": "/".join(f"{percent:g}" for percent in run.split),
        "keep_duplicates": run.keep_duplicates,
        "seed": run.seed,
        "refit": run.refit,
        "level": run.level,
        "vocab_size": len(run.tokens),
        "split_pattern": run.split_pattern,
        "labels": ", ".join(run.labels),
        "max_line_length": run.max_line_length,
        "long_lines": run.long_lines,
        "characters": "".join(sorted({*chain(*run.tokens)})),  # another encoding gives others
    }


def _vocabulary(
    lines: Lines,
    train: Lines,
    level: Level,
    size: int | None,
    split_pattern: str | None,
) -> Vocabulary:
    """Every character or token of the text, or the most frequent words of its train split."""
    if split_pattern is not None and level != "token":
        raise OptionError(f"--split-pattern {split_pattern} is for --level token")
    if level == "word":
        return WordVocabulary.of(train, size or WORDS, line_ends=True)
    if size is not None:
        raise OptionError(f"--vocab-size {size} is for --level word; all {level}s are known")
    if level == "token":
        if split_pattern is None:
            raise OptionError("--level token needs --split-pattern, which cuts a line into tokens")
        return TokenVocabulary.split_by(lines, split_pattern)
    return Vocabulary(sorted(lines.characters))


def _check_lines(
    text: Text, lengths: NDArray[np.int64], level: Level, limit: int, has_label: bool
) -> None:
    i = int((lengths > limit).argmax())
    if lengths[i] > limit:
        raise DataError(
            f"{text.name}: line {text.numbers[i]} has {lengths[i] - has_label} {level}s; a block "
            f"of {limit + 1} holds {limit - has_label}; a larger one: --block-size; "
            "--max-line-length with --long-lines drop or cut takes shorter lines"
        )
