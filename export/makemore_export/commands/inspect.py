"""`mm-inspect`: what is in an artifact or a run; with no argument, whether makemore works here.

PyTorch is imported for a run alone: the rest works where it is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from makemore.commands.command import Command
from makemore.commands.doctor import examine
from makemore.commands.inspect import describe_artifact, describe_metadata, show
from makemore.commands.options import trust_option
from makemore.errors import MissingDependencyError, OptionError
from makemore.loading import load


@click.command(cls=Command)
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option("--plots", type=click.Path(path_type=Path), help="Folder for pictures of a run.")
@click.option("--text", type=click.Path(path_type=Path), help="What the run was trained on.")
@click.option("--encoding", help="Of the text.  [default: that of the run]")
@click.option("--string", help="To show the model in pictures.  [default: a sample]")
@trust_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(
    source: Path | None, as_json: bool, plots: Path | None, trust: bool, **options: Any
) -> None:
    """Shows what is in SOURCE: an artifact, a run folder or its best.safetensors.

    Replays the golden samples of an artifact, and exits with 1 where they differ. With --plots,
    draws a run: bigram counts, losses, embeddings, attention or activations, surprise at a string.
    With no SOURCE: versions, the ONNX Runtime that is found, the machine, and a self-test of a
    second; exits with 1 where it fails.
    """
    good = True
    if not plots and (options["text"] or options["string"]):
        raise OptionError("--text and --string are for --plots")
    if source is not None and _is_run(source):
        report = describe_run(source)
        if plots:
            report["pictures"] = draw(source, plots, **options)
    elif plots:
        raise OptionError(f"--plots draws a run folder or its best.safetensors, not {source}")
    elif source is None:
        report = examine()
        good = report["works"]
    else:
        report = describe_artifact(source, load(source, trust=trust), trust=trust)
        good = report["golden samples"]["replayed"] == report["golden samples"]["of"]
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        show(report)
    sys.exit(0 if good else 1)


def describe_run(path: Path) -> dict[str, Any]:
    """What would be the metadata of a run's artifact, its recipe, and how far it came."""
    with _missing_package_named():
        from makemore_export.commands import run_report
    artifact, more = run_report.describe_run(path)
    return {"run": str(path), **describe_metadata(artifact), **more}


def draw(source: Path, folder: Path, **options: Any) -> list[str]:
    """Writes the pictures of a run to `folder`, says on stderr what is left out, and why."""
    with _missing_package_named():
        from makemore_export.plots import run_plots
    drawn = run_plots.draw(source, folder, **options)
    for reason in drawn.left_out:
        click.echo(f"left out: {reason}", err=True)
    return [str(path) for path in drawn.files]


def _is_run(path: Path) -> bool:
    checkpoints = ("best.safetensors", "last.safetensors")
    return path.suffix == ".safetensors" or any((path / name).exists() for name in checkpoints)


@contextmanager
def _missing_package_named() -> Iterator[None]:
    """Names a missing package of those that know runs, as `MissingDependencyError`."""
    try:
        yield
    except ModuleNotFoundError as error:
        package, _, _ = (error.name or "").partition(".")
        raise MissingDependencyError(
            f"to inspect a run, {package} is needed: pip install 'makemore[export]'"
        ) from None
