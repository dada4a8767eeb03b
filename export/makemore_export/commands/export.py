"""`mm-export`: an artifact from a run, a checkpoint, or straight from a text file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from makemore.commands.command import Command
from makemore.errors import OptionError

from makemore_export.commands.export_options import (
    FORMATS,
    ExportOptions,
    ImportOptions,
    check_precision,
    import_options,
    parse_precision,
)
from makemore_export.commands.export_source import kind_of_source, refuse_options
from makemore_export.commands.model_options import model_options
from makemore_export.commands.output_option import output_option
from makemore_export.commands.run_planning import check_options, given_content, plan_run
from makemore_export.commands.text_options import text_options
from makemore_export.commands.web_option import read_page, runtime_option
from makemore_export.data.reading import Reading
from makemore_export.data.text import Content, text_of
from makemore_export.packing.artifact_target import check_target
from makemore_export.runs.header import checkpoint_file, read_header, stored_run
from makemore_export.runs.missing_package import missing_package_named
from makemore_export.runs.run_text import lines_of
from makemore_export.runs.target_lock import locked
from makemore_export.training import distributed

_OF_IMPORTS = {"n_head", *Reading.__struct_fields__} - {"label_column"}
"""The options of training that a checkpoint of another program takes."""

_PURPOSE = "to export"


@click.command(cls=Command)
@click.argument("source", required=False, type=click.Path(path_type=Path))
@output_option("Artifact folder.")
@click.option(
    "--samples", default=20, show_default=True, type=click.IntRange(min=0), help="To print."
)
@click.option("--half", is_flag=True, help="Weights and states in float16: half the size.")
@click.option("--int8", is_flag=True, help="Matrices of networks in int8: a quarter of their size.")
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    help="What a run was trained on, for its fingerprints, and to tell the loss of --half or "
    "--int8.  [default: the names of 2018]",
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
    "--web",
    is_flag=True,
    help="Add a page that samples in a browser, from any web server: 14 MB, of ONNX Runtime.",
)
@runtime_option
@click.option(
    "--from",
    "source_format",
    type=click.Choice(FORMATS),
    help="What another program's checkpoint is.  [default: recognised by its content]",
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
@text_options
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object on stdout.")
@model_options
def main(
    source: Path | None,
    out: Path,
    *,
    samples: int,
    half: bool,
    int8: bool,
    text: Path | None,
    no_fingerprints: bool,
    no_torchscript: bool,
    web: bool,
    ort_web: Path | None,
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
    asked = ExportOptions(
        samples=samples,
        precision=parse_precision(half=half, int8=int8),
        fingerprints=not no_fingerprints,
        torchscript=not no_torchscript,
        page=read_page(out.resolve().name, web=web, runtime=ort_web),
        as_json=as_json,
    )
    check_target(out)
    kind = kind_of_source(source, source_format)
    beside = None if text is None else given_content(text)
    if source is not None and kind == "foreign":
        theirs = import_options(source_format, tokens, names, beside, options)
        _export_foreign(source, theirs, out, asked, options)
    elif tokens or names:
        raise OptionError("--tokens and --map are for the checkpoint of another program")
    elif source is not None and kind == "run":
        _export_run(source, beside, out, asked, options)
    elif beside:
        raise OptionError("--text is for a SOURCE that is trained already")
    else:
        _train_and_export(source, out, asked, options)


def _export_foreign(
    source: Path, theirs: ImportOptions, out: Path, asked: ExportOptions, options: Mapping[str, Any]
) -> None:
    """Writes the artifact of another program's checkpoint."""
    refuse_options(source, options, _OF_IMPORTS if theirs.text else {"n_head"})
    with missing_package_named(_PURPOSE):
        from makemore_export.commands.run_export import export_foreign

    export_foreign(source, out, theirs, asked)


def _export_run(
    source: Path, text: Content | None, out: Path, asked: ExportOptions, options: Mapping[str, Any]
) -> None:
    """Writes the artifact of a run, or of one of its checkpoints."""
    refuse_options(source, options, {*Reading.__struct_fields__} if text else set())
    header = read_header(checkpoint_file(source))
    kept = header.run.reading
    if other := kept.differences(kept.with_options(options)):
        raise OptionError(f"{source}: its text was read in another way: {'; '.join(other)}")
    check_precision(asked.precision, header.run.spec)
    lines = lines_of(header.run, text, options["encoding"])
    with missing_package_named(_PURPOSE):
        from makemore_export.commands.run_export import export_trained
        from makemore_export.runs.checkpoint import read_source

    with locked(out):
        export_trained(read_source(source), lines, out, asked)


def _train_and_export(
    source: Path | None, out: Path, asked: ExportOptions, options: Mapping[str, Any]
) -> None:
    """Trains on a text in the run folder beside `out`, or goes on there, then exports."""
    check_options(options)
    text = text_of(given_content(source), Reading().with_options(options))
    target = out.resolve()
    folder = target.with_name(f"{target.name}.run")
    with locked(out):
        with locked(folder):
            planned = plan_run(text, folder, stored_run(folder), options, None)
            check_precision(asked.precision, planned.run.spec)
            with missing_package_named(_PURPOSE):
                from makemore_export.commands.run_export import export_trained
                from makemore_export.commands.run_training import run_training
                from makemore_export.runs.checkpoint import RunFolder

            trained = run_training(planned, RunFolder(folder), options, again="the same command")
        export_trained(trained, text.lines, out, asked)
