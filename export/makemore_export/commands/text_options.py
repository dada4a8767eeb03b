"""The options that say how a text is read and trained on: `mm-train` and `mm-export` share them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click
from makemore.errors import DataError
from makemore.token_vocabulary import LEVELS
from makemore.word_vocabulary import WORDS

from makemore_export.data.long_lines import LongLines
from makemore_export.data.splits import parse_split
from makemore_export.training.presets import LARGE, PRESETS, REFITTED

Command = TypeVar("Command", bound=Callable[..., Any])
SPLIT, SEED = "80/10/10", 1
"""What is chosen where an option is left out."""

_THREADS = 1024
"""Most threads; OpenMP ends the process where it cannot start as many as it was asked for."""
_POSITIVE = click.IntRange(min=1)


def _percents(_: click.Context, __: click.Parameter, value: str | None) -> Any:
    try:
        return None if value is None else parse_split(value)
    except DataError as error:
        raise click.BadParameter(str(error)) from None


# An option that is left out is None, so that a given one is not mistaken for its default.
_OPTIONS = (
    click.option(
        "--preset",
        type=click.Choice([*PRESETS]),
        help="A model and its options, well tried.  [default, without --model: fast, or large for "
        f"{LARGE:,} different lines or more]",
    ),
    click.option(
        "--split", callback=_percents, help=f"Percent of train/dev/test.  [default: {SPLIT}]"
    ),
    click.option(
        "--refit/--no-refit",
        default=None,
        help="Train a second time, on train and dev, with what was chosen on dev.  [default: with "
        f"preset {', '.join(REFITTED)} alone]",
    ),
    click.option(
        "--keep-duplicates",
        is_flag=True,
        default=None,
        help="Keep lines that repeat another one; otherwise they are dropped before the split.",
    ),
    click.option(
        "--max-line-length",
        type=_POSITIVE,
        metavar="N",
        help="Characters of the longest line taken.  [default: any]",
    ),
    click.option(
        "--long-lines",
        type=click.Choice(get_args(LongLines)),
        help="What becomes of longer lines.  [default: error]",
    ),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), help=f"[default: {SEED}]"),
    click.option("--encoding", help="Of the text.  [default: utf-8]"),
    click.option(
        "--column",
        metavar="NAME",
        help="The text is a table (CSV, also with tabs or semicolons, Parquet or Arrow): train on "
        "this column.",
    ),
    click.option(
        "--label-column", metavar="NAME", help="The column with the label of each text: --labels."
    ),
    click.option(
        "--separator",
        metavar="TEXT",
        help=r"What is between two things of several lines, such as '\n%\n'; blank: blank lines.  "
        "[default: each line is one thing]",
    ),
    click.option("--lower", is_flag=True, default=None, help="Lower case, labels too."),
    click.option(
        "--nfc", is_flag=True, default=None, help="A letter and its accents as one character."
    ),
    click.option(
        "--level",
        type=click.Choice(LEVELS),
        help="What a token is.  [default: character]",
    ),
    click.option(
        "--vocab-size",
        type=_POSITIVE,
        help=f"Most frequent words that the model knows, at level word.  [default: {WORDS}]",
    ),
    click.option(
        "--labels",
        "has_labels",
        is_flag=True,
        default=None,
        help="Each line is a label, a tab and a string: strings are made and scored by label.",
    ),
    click.option(
        "--split-pattern",
        metavar="REGEX",
        help="At level token, what a token is: a line is cut into the longest matches.",
    ),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where to train.",
    ),
    click.option(
        "--threads", type=click.IntRange(1, _THREADS), help="Of PyTorch.  [default: all cores]"
    ),
)


def text_options(command: Command) -> Command:
    """Adds the options to a click command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
