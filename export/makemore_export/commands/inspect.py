"""`mm-inspect`: what is in an artifact or a run; with no argument, whether makemore works here.

PyTorch is imported for a run alone: the rest works where it is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
from makemore.commands.command import Command
from makemore.commands.doctor import examine
from makemore.commands.inspect import describe_artifact, describe_metadata, describe_next, show
from makemore.commands.options import trust_option
from makemore.errors import OptionError
from makemore.loading import load
from makemore.source import model_file

from makemore_export.commands.web_option import read_page, runtime_option, serve_command
from makemore_export.configs.shown import shown_config
from makemore_export.packing.web_page import write_page
from makemore_export.runs.missing_package import missing_package_named

_PURPOSE = "to inspect a run"


@click.command(cls=Command)
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option("--plots", type=click.Path(path_type=Path), help="Folder for pictures of a run.")
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    help="What the run was trained on.  [default: the names of 2018, if they are it]",
)
@click.option("--encoding", help="Of the text.  [default: that of the run]")
@click.option(
    "--top-bigrams",
    type=click.IntRange(min=1),
    metavar="N",
    help="How often the most frequent pairs of tokens are in the run's text.",
)
@click.option(
    "--next",
    "prefix",
    metavar="PREFIX",
    help='What may follow a prefix, "" for the start, and how likely it is.',
)
@click.option("--label", help="Of the string of --next, under a model with labels.")
@click.option("--string", help="To show the model in pictures.  [default: a sample]")
@click.option("--log-scale", is_flag=True, help="Losses in pictures on a logarithmic axis.")
@click.option(
    "--web",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Writes the artifact to a folder with a page that samples in a browser; DIR may be the "
    "artifact's own folder.",
)
@runtime_option
@trust_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(
    source: Path | None,
    as_json: bool,
    plots: Path | None,
    trust: bool,
    top_bigrams: int | None,
    prefix: str | None,
    label: str | None,
    web: Path | None,
    ort_web: Path | None,
    **options: Any,
) -> None:
    """Shows what is in SOURCE: an artifact, a run folder or its best.safetensors.

    Replays the golden samples of an artifact, and exits with 1 where they differ. Of a run, the
    first lines of its text and their lengths are shown where the text is at hand. With --plots,
    draws a run: bigram counts, losses, embeddings, attention or activations, surprise at a string.
    With no SOURCE: versions, the ONNX Runtime that is found, the machine, and a self-test of a
    second; exits with 1 where it fails. --web writes a page that samples from an artifact.
    """
    good = True
    is_run = source is not None and _is_run(source)
    of_runs = {"--plots": plots, "--text": options["text"], "--top-bigrams": top_bigrams}
    of_runs["--encoding"] = options["encoding"]
    _refuse(of_runs, is_run, f"is for a run folder or its best.safetensors, not {source}")
    for name in ("string", "log_scale"):
        _refuse({f"--{name.replace('_', '-')}": options[name]}, plots is not None, "is for --plots")
    _refuse({"--label": label}, prefix is not None, "is for --next")
    of_artifacts = {"--web": web, "--ort-web": ort_web, "--trust": trust}
    _refuse(of_artifacts, source is not None and not is_run, f"is for an artifact, not {source}")
    if source is None:
        if prefix is not None:
            raise OptionError("--next needs a SOURCE, an artifact or a run")
        report = examine()
        good = report["works"]
    elif is_run:
        check_run(source, prefix, label, plots, **options)
        text, encoding = options["text"], options["encoding"]
        report = describe_run(source, text, encoding, top_bigrams, prefix, label)
        if plots:
            report["pictures"] = draw(source, plots, **options)
    else:
        page = read_page(_name(source), web=web is not None, runtime=ort_web)
        sampler = load(source, trust=trust)
        report = describe_artifact(source, sampler, trust=trust)
        good = report["golden samples"]["replayed"] == report["golden samples"]["of"]
        if prefix is not None:
            report |= describe_next(sampler, prefix, label)
        if web is not None:
            report["page"] = _write_page(source, web, page)
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        show({k: shown_config(v) if k == "config" else v for k, v in report.items()})
    sys.exit(0 if good else 1)


def check_run(
    path: Path,
    prefix: str | None,
    label: str | None,
    plots: Path | None,
    *,
    text: Path | None,
    encoding: str | None,
    string: str | None,
    **_: Any,
) -> None:
    """Raises what can be known to be wrong before PyTorch is imported, which takes seconds."""
    with missing_package_named(_PURPOSE):
        from makemore_export.data.text import read_content
        from makemore_export.runs.header import BEST, LAST, read_header
        from makemore_export.runs.run_text import lines_of
    files = [path / name for name in (BEST, LAST)] if path.is_dir() else [path]
    there = (file for file in files if file.exists() or not path.is_dir())
    run = read_header(next(there)).run
    if text is not None:
        lines_of(run, read_content(text), encoding)
    if prefix is not None:
        run.vocabulary.prompt(prefix)
    if label is not None:
        run.vocabulary.label_id(label)
    if string is not None:
        run.vocabulary.encode_line(string)
    if plots is not None and plots.exists() and not plots.is_dir():
        raise OptionError(f"--plots {plots}: is a file, not a folder")


def describe_run(
    path: Path,
    text: Path | None,
    encoding: str | None,
    top_bigrams: int | None,
    prefix: str | None,
    label: str | None,
) -> dict[str, Any]:
    """What would be the metadata of a run's artifact, its recipe, how far it came, and its text."""
    with missing_package_named(_PURPOSE):
        from makemore_export.commands import run_report
    artifact, more = run_report.describe_run(path)
    report = {"run": str(path), **describe_metadata(artifact), **more}
    report |= run_report.describe_text(path, text, encoding, top_bigrams)
    if prefix is not None:
        report |= describe_next(run_report.sampler_of(path), prefix, label)
    return report


def draw(source: Path, folder: Path, **options: Any) -> list[str]:
    """Writes the pictures of a run to `folder`, says on stderr what is left out, and why."""
    with missing_package_named(_PURPOSE):
        from makemore_export.plots import run_plots
    drawn = run_plots.draw(source, folder, **options)
    for reason in drawn.left_out:
        click.echo(f"left out: {reason}", err=True)
    return [str(path) for path in drawn.files]


def _refuse(flags: Mapping[str, object], allowed: bool, reason: str) -> None:
    """`OptionError` for the first of the flags that was given where none is allowed."""
    for name, value in flags.items():
        if value and not allowed:
            raise OptionError(f"{name} {reason}")


def _name(source: Path) -> str:
    """What to call an artifact: its folder, or its file where that has a name of its own."""
    path = source.resolve()
    return path.parent.name if path.name == "model.onnx" else path.name


def _write_page(source: Path, folder: Path, page: Mapping[str, bytes]) -> list[str]:
    """Writes the page of an artifact, says on stderr how to see it; the paths of its files."""
    model = model_file(source)
    if model.suffix != ".onnx":
        raise OptionError(f"--web needs a model.onnx, not {model}: no browser runs TorchScript")
    write_page(model, folder, page)
    click.echo(f"to open the page: {serve_command(folder)}", err=True)
    return [str(folder / name) for name in sorted(page)]


def _is_run(path: Path) -> bool:
    checkpoints = ("best.safetensors", "last.safetensors")
    return path.suffix == ".safetensors" or any((path / name).exists() for name in checkpoints)
