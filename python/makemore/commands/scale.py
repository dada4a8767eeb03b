"""What `mm-sample --rows` and `mm-score FOLDER` do: data sets of many files."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import msgspec

from makemore.commands.options import limited
from makemore.commands.progress import progress
from makemore.errors import OptionError
from makemore.limits import integer
from makemore.options import FilterOptions

if TYPE_CHECKING:
    from makemore.scale import Manifest, Result

F = TypeVar("F", bound=Callable[..., Any])

_COUNT = integer(1, 2**64)

WORKER_FLAGS = {"workers", "ray"}
SCORE_FLAGS = {"artifact", "text", "column", "score_column", "label", "keep_going", "output"} | {
    "as_json",
    *WORKER_FLAGS,
}


class RowsFlags(NamedTuple):
    """The flags that go with --rows."""

    rows: int
    shard_rows: int
    distinct: str | None
    memory_limit: str
    workers: int | None
    ray: str | None


def worker_options(command: F) -> F:
    """Adds --workers and --ray."""
    command = click.option(
        "--ray",
        is_flag=False,
        flag_value="local",
        metavar="[ADDRESS]",
        help="Work on a Ray cluster; without ADDRESS, on one that is started here.",
    )(command)
    return click.option(
        "--workers",
        type=int,
        callback=limited(integer(1)),
        help="Processes that work.  [default: all cores]",
    )(command)


def rows_options(command: F) -> F:
    """Adds the options of `mm-sample --rows`."""
    for last_first in (
        click.option("--memory-limit", default="2GB", show_default=True, help="Of --distinct."),
        click.option("--distinct", metavar="FILE", help="And write each string once to FILE."),
        worker_options,
        click.option(
            "--shard-rows",
            default=1_000_000,
            callback=limited(_COUNT),
            show_default=True,
            help="Rows of a file.",
        ),
        click.option(
            "--rows",
            type=int,
            callback=limited(_COUNT),
            help="Write all strings of so many rows that pass into Parquet files in the folder of "
            "-o, or go on with it.",
        ),
    ):
        command = last_first(command)
    return command


def rows_flags(flags: dict[str, Any]) -> RowsFlags | None:
    """Takes the flags of `mm-sample --rows` out of all; None without --rows."""
    taken = RowsFlags(**{name: flags.pop(name) for name in RowsFlags._fields})
    if taken.rows is None:
        refuse({*RowsFlags._fields}, "without --rows")
        return None
    return taken


def sample_rows(
    artifact: Path,
    asked: RowsFlags,
    output: Path | str | None,
    flags: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Writes the strings of rows into a folder; without a seed, those of the one it was begun with,
    or of a new one.
    """
    from makemore import scale

    options = {each.name for each in fields(FilterOptions)} | {"seed", "first_row"}
    known = {"artifact", "output", "as_json", *RowsFlags._fields, *options}
    known |= {"separator"} if "not_in" in flags else set()
    refuse(_given() - known, "with --rows")
    folder = _folder(output, "--rows")
    given = {name: value for name, value in flags.items() if name in options}
    if given["seed"] is None:
        given["seed"] = scale.seed_of(folder)
    if given["seed"] is None:
        given["seed"] = secrets.randbits(32)
    with progress("sampling", asked.rows) as advance, redirect_stdout(sys.stderr):  # Ray prints
        count = _Count(advance)
        manifest = scale.generate(
            artifact,
            asked.rows,
            output=folder,
            shard_rows=asked.shard_rows,
            workers=asked.workers,
            ray=asked.ray,
            on_result=count,
            **given,
        )
    facts = {"rows": asked.rows, "seed": given["seed"]}
    if asked.distinct is not None:
        found = scale.distinct(folder, asked.distinct, memory_limit=asked.memory_limit)
        facts["distinct_strings"] = found
    count.show(manifest, facts, as_json)


def score_folder(
    artifact: Path,
    source: Path | str,
    output: Path | str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Scores the Parquet files of a folder into another."""
    from makemore import scale

    refuse(_given() - SCORE_FLAGS, f"for a folder, {source}")
    folder = _folder(output, f"{source} is a folder; its scoring")
    count = _Count(lambda _: None)
    with redirect_stdout(sys.stderr):
        manifest = scale.score(artifact, source, folder, on_result=count, **options)
    count.show(manifest, {}, as_json)


def refuse(names: set[str], where: str) -> None:
    """`OptionError` for an option of these that was given."""
    for parameter in click.get_current_context().command.params:
        if parameter.name in names & _given():
            raise OptionError(f"{parameter.opts[-1]} has no meaning {where}")


def _given() -> set[str]:
    """The parameters that stand on the command line."""
    context = click.get_current_context()
    line = click.core.ParameterSource.COMMANDLINE
    return {name for name in context.params if context.get_parameter_source(name) is line}


def _folder(output: Path | str | None, what: str) -> Path | str:
    if output is None:
        raise OptionError(f"{what} writes to a folder: name it with -o")
    return output


class _Count:
    """Of the shards of a run: how many were there before, and how many had been changed."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self.kept = self.remade = 0

    def __call__(self, result: Result) -> None:
        self.kept += result.state == "kept"
        self.remade += result.state == "remade"
        self._advance(result.shard.rows)

    def show(self, manifest: Manifest, others: Mapping[str, int], as_json: bool) -> None:
        """Prints what there is."""
        facts = {
            "strings": manifest.strings,
            **others,
            "files": manifest.files,
            "kept": self.kept,
            "remade": self.remade,
            "digest": manifest.digest,
        }
        if as_json:
            click.echo(msgspec.json.encode(facts))
            return
        for name, value in facts.items():
            if value is not None:
                shown = value if name in ("digest", "seed") else f"{value:,}"
                click.echo(f"{name.replace('_', ' ')} {shown}")
