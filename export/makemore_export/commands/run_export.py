"""What `mm-export` does: an artifact from a run, a checkpoint, or straight from a text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import click
import makemore
import msgspec
from makemore.commands.terminal import as_one_line, to_show
from makemore.errors import ExportError, OptionError
from makemore.fingerprints import MAX_LINES, stored_bytes
from makemore.vocabulary import Level

from makemore_export.commands.import_checkpoint import (
    ImportOptions,
    import_checkpoint,
    parse_names,
)
from makemore_export.commands.run_training import run_training
from makemore_export.commands.training_command import GivenText
from makemore_export.commands.web_option import serve_command
from makemore_export.data.reading import Reading
from makemore_export.data.text import Text
from makemore_export.importers import is_foreign
from makemore_export.packing.artifact_folder import (
    check_target,
    replace_artifact,
)
from makemore_export.packing.model_card import Report, quality
from makemore_export.packing.verification import MAX_BYTES
from makemore_export.packing.web_page import WEB_FILES
from makemore_export.runs.checkpoint import Checkpoint, RunFolder, read_source
from makemore_export.runs.run_text import lines_of
from makemore_export.runs.target_lock import locked
from makemore_export.training import distributed

_OF_IMPORTS = {"n_head", *Reading.__struct_fields__} - {"label_column"}
"""The options of training that a checkpoint of another program takes."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result: the artifact's folder, its report, strings sampled from it."""

    artifact: str
    report: Report
    samples: list[str]


class ExportOptions(NamedTuple):
    """What is asked of an export; see the options of `mm-export`.

    given: SOURCE, if it is a text. text: what SOURCE was trained on. page: the files of --web.
    """

    given: GivenText | None
    text: GivenText | None
    samples: int
    half: bool
    fingerprints: bool
    torchscript: bool
    page: Mapping[str, bytes]
    source_format: str | None
    tokens: Path | None
    names: tuple[str, ...]
    as_json: bool


def run_export(
    source: Path | None, out: Path, asked: ExportOptions, options: Mapping[str, Any]
) -> None:
    """Writes the artifact of SOURCE, which is trained first if it is a text.

    options: those of a training, None for each that was left out.
    """
    distributed.refuse("mm-export")
    check_target(out)
    if source is not None and (asked.source_format is not None or is_foreign(source)):
        _import(source, out, asked, options)
        return
    for name, value in (("--tokens", asked.tokens), ("--map", asked.names)):
        if value:
            raise OptionError(f"{name} is for the checkpoint of another program")
    if asked.text and not _is_trained(source):
        raise OptionError("--text is for a SOURCE that is trained already")
    with locked(out):
        if _is_trained(source):
            _refuse_options(source, options, set() if asked.text is None else {"encoding"})
            trained = read_source(source)
            content = None if asked.text is None else asked.text.content
            lines: Sequence[str] | None = lines_of(trained.run, content, options["encoding"])
        else:
            text = (asked.given or GivenText(source)).read(Reading().with_options(options))
            trained = _trained(text, out, options)
            lines = text.lines
        click.echo("exporting and verifying ...", err=True)
        with _failures_as_exit_1():
            report = replace_artifact(
                trained,
                out,
                half=asked.half,
                lines=lines,
                fingerprints=asked.fingerprints,
                torchscript=asked.torchscript,
                page=asked.page,
            )
    run = trained.run
    _tell(out, report, run.level, run.data.lines, asked.samples, run.seed, as_json=asked.as_json)


def _import(source: Path, out: Path, asked: ExportOptions, options: Mapping[str, Any]) -> None:
    _refuse_options(source, options, {"n_head"} if asked.text is None else _OF_IMPORTS)
    n_head = None if options["n_head"] is None else _heads(options["n_head"])
    import_options = ImportOptions(
        format=asked.source_format,
        tokens=asked.tokens,
        names=parse_names(asked.names),
        n_head=n_head,
        text=None if asked.text is None else asked.text.content,
        reading=Reading().with_options(options),
        half=asked.half,
        fingerprints=asked.fingerprints,
        torchscript=asked.torchscript,
        page=asked.page,
    )
    with locked(out), _failures_as_exit_1():
        made = import_checkpoint(source, out, import_options)
    level = made.artifact.level
    _tell(out, made.report, level, made.lines, asked.samples, 0, as_json=asked.as_json)


def _tell(
    out: Path, report: Report, level: Level, lines: int, samples: int, seed: int, *, as_json: bool
) -> None:
    """Says what was written, and samples from it. lines: of the text, 0 where there is none."""
    strings = makemore.load(out, max_bytes=MAX_BYTES).sample(samples, seed=seed)
    if as_json:
        result = Exported(artifact=str(out), report=report, samples=strings)
        click.echo(msgspec.json.encode(result))
    else:
        _show(out, report, level, lines, strings)


@contextmanager
def _failures_as_exit_1() -> Iterator[None]:
    try:
        yield
    except ExportError as error:
        raise click.ClickException(str(error)) from None


def _heads(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"--n-head is {text!r}; it must be a number") from None


def _show(out: Path, report: Report, level: Level, lines: int, strings: list[str]) -> None:
    for verification in report.verification:
        click.echo(
            f"{verification.file}: {verification.logits:,} logits within "
            f"{verification.largest_difference:.1e} of PyTorch, "
            f"{verification.golden} samples replayed"
        )
    per = f"per {level}"
    for name, loss in report.losses.items():
        nats, perplexity, bits = quality(loss)
        click.echo(f"{name}: {nats} nats {per}, {bits} bits {per}, perplexity {perplexity}")
    for name, loss in (report.float16_losses or {}).items():
        click.echo(f"{name} in float16: {quality(loss)[0]} nats {per}")
    for label, loss in report.label_losses.items():
        click.echo(f"label {label!r} given: {quality(loss)[0]} nats {per}")
    if report.novelty:
        click.echo(f"{report.novelty.samples:,} samples: {report.novelty}")
        if report.novelty.memorised:
            click.echo(str(report.novelty.memorised))
    for note in report.notes:
        click.echo(note)
    if lines:
        click.echo(_fingerprints(report.fingerprints, lines))
    files = {path.name for path in out.iterdir()}
    click.echo(f"{out}: {', '.join(sorted(files - WEB_FILES))}")
    if files & WEB_FILES:
        click.echo(f"to open the page: {serve_command(out)}")
    click.echo(f"to sample: mm-sample {shlex.quote(str(out))}")
    click.echo("".join(f"\n{to_show(as_one_line(string))}" for string in strings))


def _fingerprints(count: int, lines: int) -> str:
    if count:
        return f"fingerprints of {count:,} lines, {stored_bytes(count):,} bytes: mm-sample --novel"
    reason = f", of which at most {MAX_LINES:,} are kept" if lines > MAX_LINES else ""
    return f"no fingerprints of the {lines:,} lines{reason}: mm-sample has no --novel"


def _is_trained(source: Path | None) -> TypeGuard[Path]:
    return source is not None and (source.is_dir() or source.suffix == ".safetensors")


def _refuse_options(source: Path, options: Mapping[str, Any], taken: Set[str]) -> None:
    """`OptionError` for an option of training on the command line that is none of `taken`."""
    context = click.get_current_context()
    for option in context.command.get_params(context):
        name = option.name or ""
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and name in options and name not in taken:
            use = "for --text" if name in Reading.__struct_fields__ else "for training"
            raise OptionError(f"{option.opts[0]} is {use}; {source} is trained already")


def _trained(text: Text, out: Path, options: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint that training on a text gives, in the run folder beside `out`."""
    target = out.resolve()
    folder = RunFolder(target.with_name(f"{target.name}.run"))
    with locked(folder.path):
        return run_training(
            text, folder, folder.latest(), options, old=None, again="the same command"
        )
