"""`mm-sample`: strings out of an artifact."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from makemore.commands.columns import text_of
from makemore.commands.command import Command
from makemore.commands.options import (
    artifact_argument,
    device_option,
    limited,
    sample_options,
    separator_option,
    threads_option,
    trust_option,
)
from makemore.commands.progress import progress
from makemore.commands.scale import refuse, rows_flags, rows_options, sample_rows
from makemore.commands.tables import (
    Format,
    Row,
    Write,
    file_of,
    format_of,
    open_table,
    table_options,
)
from makemore.commands.terminal import as_one_line, plural
from makemore.errors import OptionError
from makemore.limits import integer
from makemore.loading import Device, load
from makemore.options import DrawOptions, FilterOptions, SampleOptions
from makemore.sample import SAMPLE_COLUMNS, Sample
from makemore.sampler import Sampler
from makemore.text import BYTE_ORDER_MARK, numbered_items, separator_text, split_lines
from makemore.vocabulary import Vocabulary

Line = Callable[[Row], str]


@click.command(cls=Command)
@artifact_argument
@click.option(
    "-n",
    "n",
    default=20,
    callback=limited(integer(0)),
    show_default=True,
    help="How many strings to make.",
)
@sample_options
@click.option("--not-in", type=click.Path(path_type=Path), help="File of strings that do not pass.")
@click.option(
    "--prefixes",
    type=click.Path(path_type=Path, allow_dash=True),
    help="File of prefixes, or -: n strings for each line, none of them filtered.",
)
@click.option(
    "--most-likely",
    type=int,
    callback=limited(integer(0)),
    help="Print the K likeliest strings instead.",
)
@click.option("--next", "next_prefix", help="Print what may follow that prefix instead.")
@rows_options
@separator_option
@table_options
@device_option
@threads_option
@trust_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
def sample(
    artifact: Path,
    n: int,
    not_in: Path | None,
    prefixes: Path | None,
    most_likely: int | None,
    next_prefix: str | None,
    separator: str | None,
    table_format: str | None,
    output: Path | str | None,
    device: Device,
    threads: int | None,
    trust: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Makes strings with ARTIFACT: a folder, a model.onnx or a model.ts; or the folder of a run,
    which needs PyTorch. One a line on stdout.
    """
    if as_json and table_format not in (None, "jsonl"):
        raise OptionError(f"--json cannot be used with --format {table_format}")
    if not_in is not None:
        flags["not_in"] = frozenset(_items(not_in, separator))
    if (asked_rows := rows_flags(flags)) is not None:
        sample_rows(artifact, asked_rows, output, flags, as_json)
        return
    output = file_of(output)
    sampler = load(artifact, device=device, threads=threads, trust=trust)
    chosen = format_of(output, "jsonl" if as_json else table_format)
    others = {"--prefixes": prefixes, "--most-likely": most_likely, "--next": next_prefix}
    asked = [name for name, value in others.items() if value is not None]
    if len(asked) > 1:
        raise OptionError(f"{' and '.join(asked)} cannot be used together")
    of_files = () if not_in is None else ("separator",)  # --not-in was read with it
    if next_prefix is not None:
        _refuse("--next", DrawOptions)
        _next_tokens(sampler, next_prefix, _those_of(DrawOptions, flags), output, chosen)
    elif most_likely is not None:
        _refuse("--most-likely", FilterOptions, *of_files)
        _most_likely(sampler, most_likely, _those_of(FilterOptions, flags), output, chosen)
    elif prefixes is not None:
        _refuse("--prefixes", DrawOptions, "n", "seed", "first_row", "separator")
        options = _those_of(DrawOptions, flags)
        options |= {"seed": flags["seed"], "first_row": flags["first_row"]}
        _complete(
            sampler,
            _prefixes(prefixes, separator),
            n,
            options,
            _line(separator, output),
            output,
            chosen,
        )
    else:
        if chosen != "text":
            refuse({"separator"} - {*of_files}, f"in {chosen}")
        _sample(sampler, n, flags, _line(separator, output), output, chosen)


def _sample(
    sampler: Sampler, n: int, flags: dict[str, Any], line: Line, output: Path | None, chosen: Format
) -> None:
    fresh_seed = flags["seed"] is None
    if fresh_seed:
        flags["seed"] = secrets.randbits(32)
    options = SampleOptions(**flags)
    labels = {"label": "string"} if sampler.artifact.labels else {}
    with (
        open_table(output, chosen, SAMPLE_COLUMNS | labels, line) as write,
        progress("sampling", n) as advance,
    ):
        if chosen == "text":
            texts = sampler.stream(n, **options)
            while some := texts.chunk():
                write([{"text": text} for text in some])
                advance(len(some))
        else:
            samples = sampler.stream_ids(n, **options)
            while made := samples.chunk():
                write([_row(each, sampler.vocabulary) for each in made])
                advance(len(made))
    if fresh_seed and chosen == "text":
        click.echo(f"seed {options.seed}", err=True)


def _row(made: Sample, vocabulary: Vocabulary) -> Row:
    """The fields of a sample, and its label where the model has labels: it is the first id."""
    if not vocabulary.labels:
        return made.to_dict()
    label = vocabulary.first_label
    found = (vocabulary.labels[i - label] for i in made.ids[:1].tolist() if i >= label)
    return made.to_dict() | {"label": next(found, None)}


def _complete(
    sampler: Sampler,
    prefixes: list[str],
    n: int,
    options: Mapping[str, Any],
    line: Line,
    output: Path | None,
    chosen: Format,
) -> None:
    columns = {"prefix": "string", "text": "string"}
    completed = sampler.complete(prefixes, n, **options)
    with open_table(output, chosen, columns, line) as write:
        write(
            [
                {"prefix": prefix, "text": text}
                for prefix, texts in zip(prefixes, completed, strict=True)
                for text in texts
            ]
        )


def _most_likely(
    sampler: Sampler, k: int, options: Mapping[str, Any], output: Path | None, chosen: Format
) -> None:
    found = sampler.most_likely(k, **options)
    with _probabilities("text", output, chosen) as write:
        pairs = zip(found.strings, found.probabilities.tolist(), strict=True)
        write([{"text": text, "probability": p} for text, p in pairs])
    k = len(found.strings)
    click.echo(f"{k:,} {plural(k, 'string')}, {found.mass:.4%} of all", err=True)


def _next_tokens(
    sampler: Sampler, prefix: str, options: Mapping[str, Any], output: Path | None, chosen: Format
) -> None:
    found = sampler.next_tokens(prefix, **options)
    end = "(end)" if chosen == "text" else ""
    with _probabilities("token", output, chosen) as write:
        write([{"token": each.text or end, "probability": each.probability} for each in found])


@contextmanager
def _probabilities(name: str, output: Path | None, chosen: Format) -> Iterator[Write]:
    def line(row: Row) -> str:
        return f"{row['probability']:.6f}\t{as_one_line(row[name])}"

    with open_table(output, chosen, {name: "string", "probability": "float64"}, line) as write:
        yield write


def _those_of(kind: type[DrawOptions], flags: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: flags[each.name] for each in fields(kind) if each.name in flags}


def _refuse(name: str, kind: type[DrawOptions], *also: str) -> None:
    """`OptionError` for a flag that was given and has no meaning with another."""
    known = {each.name for each in fields(kind)} | {*also}
    flags = {"n", "separator", *(each.name for each in fields(SampleOptions))}
    refuse(flags - known, f"with {name}")


def _items(path: Path, separator: str | None) -> list[str]:
    return [item for _, item in numbered_items(text_of(path, "utf-8"), separator)]


def _prefixes(path: Path, separator: str | None) -> list[str]:
    """The lines of a file, each as it stands, an empty one too; or its items."""
    if separator is not None:
        return _items(path, separator)
    lines = split_lines(text_of(path, "utf-8").removeprefix(BYTE_ORDER_MARK))
    return lines if lines[-1] else lines[:-1]


def _line(separator: str | None, output: Path | None) -> Line:
    """How a string is written as text, but for its last line end.

    A terminal shows each string as one line, so that there a separator has no use.
    """
    if separator is None or (output is None and sys.stdout.isatty()):
        return lambda row: str(row["text"])
    after = separator_text(separator).removesuffix("\n")
    after = after if after.startswith("\n") or not after else f"\n{after}"
    return lambda row: f"{row['text']}{after}"
