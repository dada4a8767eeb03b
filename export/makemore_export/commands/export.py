"""`mm-export`: an artifact from a run, a checkpoint, or straight from a text file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click
from makemore.errors import CheckpointError, OptionError
from makemore.reading.file_kinds import kind_of_file

from makemore_export.commands.output_option import output_option
from makemore_export.commands.text_options import text_options
from makemore_export.commands.training_command import GivenText, TrainingCommand
from makemore_export.commands.web_option import read_page, runtime_option
from makemore_export.data.reading import Reading

_HEAD = 4096  # bytes, that tell a kind of files


class Given(NamedTuple):
    """What is read before PyTorch is imported.

    source: SOURCE, if it is a text that is trained on. text: that of --text. page: the files of
    --web by name.
    """

    source: GivenText | None
    text: GivenText | None
    page: dict[str, bytes]


def _first_check(values: dict[str, Any]) -> Given:
    page = read_page(values["out"].resolve().name, web=values["web"], runtime=values["ort_web"])
    source, beside = values["source"], values["text"]
    if source is None and values["source_format"] is not None:
        raise OptionError(f"--from {values['source_format']} needs a SOURCE, the checkpoint")
    text = None if beside is None else GivenText(beside)
    if text is not None or values["source_format"] is not None or _may_be_trained(source):
        return Given(None, text, page)
    given = GivenText(source)
    given.read(Reading().with_options(values))
    return Given(given, text, page)


def _may_be_trained(source: Path | None) -> bool:
    if source is None or source.is_dir():
        return source is not None
    if source.suffix == ".safetensors":
        if not source.exists():
            raise CheckpointError(f"{source}: no such file")
        return True
    if not source.is_file():
        return False
    with source.open("rb") as file:
        return kind_of_file(file.read(_HEAD)) is not None


@click.command(cls=TrainingCommand, first_check=_first_check)
@click.argument("source", required=False, type=click.Path(path_type=Path))
@output_option("Artifact folder.")
@click.option(
    "--samples", default=20, show_default=True, type=click.IntRange(min=0), help="To print."
)
@click.option("--half", is_flag=True, help="Weights and states in float16: half the size.")
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
    "--web",
    is_flag=True,
    help="Add a page that samples in a browser, from any web server: 14 MB, of ONNX Runtime.",
)
@runtime_option
@click.option(
    "--from",
    "source_format",
    metavar="FORMAT",
    help="What another program's checkpoint is: makemore, nanogpt, transformers or torch-rnn.  "
    "[default: recognised by its content]",
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
@click.pass_obj
def main(
    given: Given,
    /,
    source: Path | None,
    out: Path,
    *,
    samples: int,
    half: bool,
    text: Path | None,  # noqa: ARG001 - it has been read into `given`
    no_fingerprints: bool,
    no_torchscript: bool,
    web: bool,  # noqa: ARG001 - like the next, it has been read into `given`
    ort_web: Path | None,  # noqa: ARG001
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
    from makemore_export.commands.run_export import ExportOptions, run_export

    asked = ExportOptions(
        given=given.source,
        text=given.text,
        samples=samples,
        half=half,
        fingerprints=not no_fingerprints,
        torchscript=not no_torchscript,
        page=given.page,
        source_format=source_format,
        tokens=tokens,
        names=names,
        as_json=as_json,
    )
    run_export(source, out, asked, options)
