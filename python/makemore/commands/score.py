"""`mm-score`: probabilities of strings under an artifact."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from makemore.commands.columns import read_column, source_format, text_of, unit_of
from makemore.commands.command import Command
from makemore.commands.options import (
    artifact_argument,
    batch_size_option,
    device_option,
    separator_option,
    threads_option,
    trust_option,
)
from makemore.commands.scale import WORKER_FLAGS, refuse, score_folder, worker_options
from makemore.commands.tables import (
    FLOATS,
    FORMATS,
    Row,
    file_of,
    format_of,
    open_table,
    place_of,
    table_options,
)
from makemore.commands.terminal import as_one_line, plural, to_show
from makemore.errors import OptionError
from makemore.loading import Device, load
from makemore.sampler import Sampler
from makemore.text import numbered_items

_WITHOUT_MEANING = {"text": {"column"}, "parquet": {"separator", "encoding"}}
"""Flags that a format of TEXT has no use for; other tables have none for a separator."""


@click.command(cls=Command)
@artifact_argument
@click.argument(
    "text",
    type=click.Path(allow_dash=True),
    callback=lambda _, __, place: place_of(place),
    default="-",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of TEXT.")
@batch_size_option
@device_option
@threads_option
@trust_option
@click.option(
    "--keep-going",
    is_flag=True,
    help="A line with an unknown character, or too long, scores -inf and is left out of the mean.",
)
@click.option(
    "--from",
    "named_format",
    type=click.Choice(FORMATS),
    help="Format of TEXT.  [default: that of its suffix, or text]",
)
@click.option("--column", default="text", show_default=True, help="Of TEXT, where it is a table.")
@separator_option
@click.option("--label", help="Of the lines, under a model that was trained with labels.")
@click.option("--tokens", "per_token", is_flag=True, help="The log-probability of each token, too.")
@click.option(
    "--score-column",
    default="log_prob",
    show_default=True,
    help="What the scores are called beside the columns of Parquet files in a folder.",
)
@worker_options
@table_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all results.")
def score(
    artifact: Path,
    text: Path | str,
    encoding: str,
    batch_size: int | None,
    device: Device,
    threads: int | None,
    trust: bool,
    keep_going: bool,
    named_format: str | None,
    column: str,
    separator: str | None,
    label: str | None,
    per_token: bool,
    score_column: str,
    workers: int | None,
    ray: str | None,
    table_format: str | None,
    output: Path | str | None,
    as_json: bool,
) -> None:
    """Scores the lines of TEXT (stdin by default) with ARTIFACT; or the Parquet files of a folder,
    or of its URI, into those of another, -o, on all cores.

    Prints the natural-log probability of each line, its stop included, and on stderr the mean over
    all characters, or words, stops counted. Blank lines and white space at the ends are left out,
    as in training. In JSON, the log-probability of an impossible line, minus infinity, is null.
    """
    if isinstance(text, str) or text.is_dir():
        score_folder(
            artifact,
            text,
            output,
            as_json,
            column=column,
            score_column=score_column,
            label=label,
            on_unknown="-inf" if keep_going else "error",
            workers=workers,
            ray=ray,
        )
        return
    refuse(WORKER_FLAGS | {"score_column"}, "but for a folder")
    read_as = source_format(text, named_format)
    refuse(_WITHOUT_MEANING.get(read_as, {"separator"}), f"for {read_as}, {text}")
    output = file_of(output)
    sampler = load(artifact, device=device, threads=threads, trust=trust)
    chosen = format_of(output, table_format)
    if as_json and (output is not None or table_format is not None):
        raise OptionError("--json cannot be used with --format or -o")
    lines = read_strings(text, named_format, column, encoding, separator)
    lengths, unknown = count_tokens(sampler, lines, unit_of(read_as))
    if unknown and not keep_going:
        raise OptionError(f"{text}, {unknown[0]}; --keep-going scores the others")
    strings = [string for _, string in lines]
    tokens_of: list[list[float | None]] = []
    if per_token:
        each = sampler.score_tokens(strings, label=label, on_unknown="-inf", batch_size=batch_size)
        tokens_of = [[finite_or_none(x) for x in some.tolist()] for some in each]
        scores = np.array([some.sum() for some in each])
    else:
        scores = sampler.score(strings, label=label, on_unknown="-inf", batch_size=batch_size)
    level = sampler.artifact.level
    tokens = sum(length for length in lengths if length)
    total = sum(float(v) for v, length in zip(scores, lengths, strict=True) if length)
    nll = -total / tokens if tokens else None
    rows: list[dict[str, Any]] = [
        {"text": string, "log_prob": float(value)}
        for string, value in zip(strings, scores, strict=True)
    ]
    for row, of_row in zip(rows, tokens_of, strict=False):
        row["token_log_probs"] = of_row
    if as_json:
        result = {
            "scores": rows,
            f"{level}s": tokens,
            f"nll_per_{level}": nll,
        }
        click.echo(msgspec.json.encode(result))
        return
    columns = {"text": "string", "log_prob": "float64"}
    if per_token:
        columns["token_log_probs"] = FLOATS
    with open_table(output, chosen, columns, _line) as write:
        write(rows)
    for message in unknown:
        click.echo(to_show(f"{text}, {message}", sys.stderr), err=True)
    mean = "none known" if nll is None else f"{nll:.4f} nats per {level}"
    known = len(strings) - len(unknown)
    click.echo(f"{known} {plural(known, 'string')}, {tokens} {level}s with stops: {mean}", err=True)


def _line(row: Row) -> str:
    numbers = "".join(f" {x:.6f}" for x in row.get("token_log_probs", ()) if x is not None)
    return f"{row['log_prob']:.6f}{numbers}\t{as_one_line(row['text'])}"


def finite_or_none(value: float) -> float | None:
    """The number, or None, which JSON has, where it is infinite."""
    return value if math.isfinite(value) else None


def count_tokens(
    sampler: Sampler, lines: list[tuple[int, str]], unit: str
) -> tuple[list[int | None], list[str]]:
    """Tokens of each line, its stop counted, or None where the model cannot score it; and why.

    unit: what the lines are in messages.
    """
    lengths: list[int | None] = []
    unknown = []
    for number, string in lines:
        try:
            lengths.append(len(sampler.encode(string)) + 1)
        except OptionError as error:  # noqa: PERF203
            lengths.append(None)
            unknown.append(f"{unit} {number}: {error}")
    return lengths, unknown


def read_strings(
    path: Path, named: str | None, column: str, encoding: str, separator: str | None = None
) -> list[tuple[int, str]]:
    """The strings of a file, or of stdin for "-", with the numbers of their lines or rows.

    Raises `OptionError` or `DataError` where they cannot be read, or are none.
    """
    table_format = source_format(path, named)
    if table_format == "text":
        strings = numbered_items(text_of(path, encoding), separator)
    else:
        strings = read_column(path, table_format, column, encoding)
    if not strings:
        raise OptionError(f"{path} holds no line to score")
    return strings
