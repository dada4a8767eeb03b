"""What `mm-export` does: an artifact from a run, a checkpoint, or straight from a text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import makemore
import msgspec
from makemore.commands.terminal import as_one_line, to_show
from makemore.errors import ExportError
from makemore.fingerprints import MAX_LINES, stored_bytes
from makemore.vocabulary import Level

from makemore_export.commands.export_options import ExportOptions, ImportOptions
from makemore_export.commands.import_checkpoint import import_checkpoint
from makemore_export.commands.web_option import serve_command
from makemore_export.packing.artifact_folder import replace_artifact
from makemore_export.packing.model_card import Report, quality
from makemore_export.packing.verification import MAX_BYTES
from makemore_export.packing.web_page import WEB_FILES
from makemore_export.runs.checkpoint import Checkpoint
from makemore_export.runs.target_lock import locked


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result: the artifact's folder, its report, strings sampled from it."""

    artifact: str
    report: Report
    samples: list[str]


def export_trained(
    trained: Checkpoint, lines: Sequence[str] | None, out: Path, asked: ExportOptions
) -> None:
    """Writes the artifact of a run, whose text has these lines; the caller has locked `out`."""
    click.echo("exporting and verifying ...", err=True)
    with _failures_as_exit_1():
        report = replace_artifact(
            trained,
            out,
            precision=asked.precision,
            lines=lines,
            fingerprints=asked.fingerprints,
            torchscript=asked.torchscript,
            page=asked.page,
        )
    run = trained.run
    prints = _fingerprints(report.fingerprints, run.data.lines, lines is not None)
    _tell(out, report, run.level, prints, asked, run.seed)


def export_foreign(source: Path, out: Path, options: ImportOptions, asked: ExportOptions) -> None:
    """Writes the artifact of another program's checkpoint."""
    with locked(out), _failures_as_exit_1():
        made = import_checkpoint(source, out, options, asked)
    prints = _fingerprints(made.report.fingerprints, made.lines, True) if made.lines else None
    _tell(out, made.report, made.artifact.level, prints, asked, 0)


def _tell(
    out: Path, report: Report, level: Level, prints: str | None, asked: ExportOptions, seed: int
) -> None:
    """Prints what was written, and samples from it. prints: the line about fingerprints."""
    strings = makemore.load(out, max_bytes=MAX_BYTES).sample(asked.samples, seed=seed)
    if asked.as_json:
        result = Exported(artifact=str(out), report=report, samples=strings)
        click.echo(msgspec.json.encode(result))
    else:
        _show(out, report, level, prints, strings)


@contextmanager
def _failures_as_exit_1() -> Iterator[None]:
    try:
        yield
    except ExportError as error:
        raise click.ClickException(str(error)) from None


def _show(
    out: Path, report: Report, level: Level, prints: str | None, strings: Sequence[str]
) -> None:
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
    for name, loss in report.stored_losses.items():
        click.echo(f"{name}: {quality(loss)[0]} nats {per}")
    for label, loss in report.label_losses.items():
        click.echo(f"label {label!r} given: {quality(loss)[0]} nats {per}")
    if report.novelty:
        click.echo(f"{report.novelty.samples:,} samples: {report.novelty}")
        if report.novelty.memorised:
            click.echo(str(report.novelty.memorised))
    for note in report.notes:
        click.echo(note)
    if prints is not None:
        click.echo(prints)
    files = {path.name for path in out.iterdir()}
    click.echo(f"{out}: {', '.join(sorted(files - WEB_FILES))}")
    if files & WEB_FILES:
        click.echo(f"to open the page: {serve_command(out)}")
    click.echo(f"to sample: mm-sample {shlex.quote(str(out))}")
    click.echo("".join(f"\n{to_show(as_one_line(string))}" for string in strings))


def _fingerprints(count: int, lines: int, has_text: bool) -> str:
    """The line about those that are stored. lines: of the text, which may not be at hand."""
    if count:
        return f"fingerprints of {count:,} lines, {stored_bytes(count):,} bytes: mm-sample --novel"
    reason = f", of which at most {MAX_LINES:,} are kept" if lines > MAX_LINES else ""
    remedy = "" if reason or has_text else "; --text FILE stores them, of the text of the run"
    return f"no fingerprints of the {lines:,} lines{reason}: mm-sample has no --novel{remedy}"
