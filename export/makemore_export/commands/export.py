"""`mm-export`: an artifact from a run, a checkpoint, or straight from a text file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import click
import makemore
import msgspec
from makemore.commands.command import Command
from makemore.commands.terminal import to_show
from makemore.errors import ExportError, OptionError
from makemore.fingerprints import MAX_LINES, stored_bytes
from makemore.vocabulary import Level

from makemore_export.commands.import_checkpoint import (
    ImportOptions,
    import_checkpoint,
    parse_names,
)
from makemore_export.commands.output_option import output_option
from makemore_export.commands.run_options import run_options
from makemore_export.commands.run_training import run_training
from makemore_export.data.reading import Reading
from makemore_export.data.text import Text, read_text
from makemore_export.importers import IMPORTERS, is_foreign
from makemore_export.packing.artifact_folder import (
    FILES,
    TORCHSCRIPT,
    check_target,
    replace_artifact,
)
from makemore_export.packing.model_card import Report, quality
from makemore_export.packing.verification import MAX_BYTES
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


@click.command(cls=Command)
@click.argument("source", required=False, type=click.Path(path_type=Path))
@output_option("Artifact folder.")
@click.option(
    "--samples", default=20, show_default=True, type=click.IntRange(min=0), help="To print."
)
@click.option("--half", is_flag=True, help="Weights, states and arithmetic in float16.")
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    help="What a run was trained on, for its fingerprints, and to tell the loss of --half.  "
    "[default: the names of 2018]",
)
@click.option(
    "--no-fingerprints",
    is_flag=True,
    help="Leave out the fingerprints of the lines, which --novel needs: 11 bytes for each.",
)
@click.option(
    "--no-torchscript",
    is_flag=True,
    help="Leave out model.ts, which is as large as model.onnx.",
)
@click.option(
    "--from",
    "source_format",
    type=click.Choice([*IMPORTERS]),
    help="What another program's checkpoint is.  [default: told by its content]",
)
@click.option(
    "--tokens",
    type=click.Path(path_type=Path),
    help="A JSON list of what the ids of such a checkpoint stand for, null for no text.",
)
@click.option(
    "--map",
    "names",
    multiple=True,
    metavar="OURS=THEIRS",
    help="The file's name of the embedding, rnn or head of a torch-rnn.",
)
@run_options
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object on stdout.")
def main(
    source: Path | None,
    out: Path,
    *,
    samples: int,
    half: bool,
    text: Path | None,
    no_fingerprints: bool,
    no_torchscript: bool,
    source_format: str | None,
    tokens: Path | None,
    names: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Writes an artifact: ONNX and TorchScript files, verified, with a model card and a report.

    SOURCE is a run folder, a checkpoint (.safetensors) or a text file; without it, the US names of
    2018. A text is trained on first, into OUT.run, with the options below; the same command goes on
    with a run that was stopped, and uses a finished one again. SOURCE may be the checkpoint of
    another program, too: of makemore.py, which has its heads from --n-head and its tokens from the
    lines of --text, of nanoGPT, a folder of transformers with a GPT-2, or the state dict of a
    recurrent network.

    Exit codes: 0 done, 1 an exported file does not do what the model does (OUT is left as it was),
    2 a bad input, 130 Ctrl-C while it trained.
    """
    distributed.refuse("mm-export")
    check_target(out)
    if source is None and source_format is not None:
        raise OptionError(f"--from {source_format} needs a SOURCE, the checkpoint")
    if source is not None and (source_format is not None or is_foreign(source)):
        used = {"n_head"} if text is None else _OF_IMPORTS
        _refuse_options(source, options, used)
        n_head = None if options["n_head"] is None else _heads(options["n_head"])
        said = ImportOptions(
            format=source_format,
            tokens=tokens,
            names=parse_names(names),
            n_head=n_head,
            text=text,
            reading=Reading().with_options(options),
            half=half,
            fingerprints=not no_fingerprints,
            torchscript=not no_torchscript,
        )
        with locked(out), _failures_as_exit_1():
            made = import_checkpoint(source, out, said)
        _tell(out, made.report, made.artifact.level, made.lines, samples, 0, as_json=as_json)
        return
    for name, value in (("--tokens", tokens), ("--map", names)):
        if value:
            raise OptionError(f"{name} is for the checkpoint of another program")
    if text and not _is_trained(source):
        raise OptionError("--text is for a SOURCE that is trained already")
    with locked(out):
        if _is_trained(source):
            _refuse_options(source, options, set() if text is None else {"encoding"})
            trained = read_source(source)
            lines = lines_of(trained.run, text, options["encoding"])
        else:
            contents = read_text(source, Reading().with_options(options))
            trained = _trained(contents, out, options)
            lines = contents.lines
        click.echo("exporting and verifying ...", err=True)
        with _failures_as_exit_1():
            report = replace_artifact(
                trained,
                out,
                half=half,
                lines=lines,
                fingerprints=not no_fingerprints,
                torchscript=not no_torchscript,
            )
    run = trained.run
    _tell(out, report, run.level, run.data.lines, samples, run.seed, as_json=as_json)


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
    for note in report.notes:
        click.echo(note)
    if lines:
        click.echo(_fingerprints(report.fingerprints, lines))
    files = FILES if TORCHSCRIPT in report.sha256 else FILES - {TORCHSCRIPT}
    click.echo(f"{out}: {', '.join(sorted(files))}")
    click.echo(f"to sample: mm-sample {shlex.quote(str(out))}")
    click.echo("".join(f"\n{to_show(string)}" for string in strings))


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
    for option in context.command.params:
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
