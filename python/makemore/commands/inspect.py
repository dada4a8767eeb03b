"""`mm-inspect`: what is in an artifact or a run; with no argument, whether makemore works here."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import msgspec

from makemore import _core
from makemore.artifact import Artifact
from makemore.command import Command
from makemore.doctor import examine
from makemore.errors import OptionError
from makemore.loading import load, model_file
from makemore.onnxruntime_library import open_library
from makemore.sampler import Sampler


@click.command(cls=Command)
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option("--plots", type=click.Path(path_type=Path), help="Folder for pictures of a run.")
@click.option("--text", type=click.Path(path_type=Path), help="What the run was trained on.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of the text.")
@click.option("--string", help="To show the model in pictures.  [default: a sample]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def inspect(source: Path | None, as_json: bool, plots: Path | None, **options: Any) -> None:
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
        report = describe_artifact(source, load(source))
        good = report["golden samples"]["replayed"] == report["golden samples"]["of"]
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        show(report)
    sys.exit(0 if good else 1)


def describe_artifact(path: Path, sampler: Sampler) -> dict[str, Any]:
    """The metadata of an artifact, and whether it still makes its golden samples."""
    golden = sampler.artifact.golden
    made = sampler.sample(len(golden.strings), seed=golden.seed)
    return {
        "artifact": str(path),
        "schema": sampler.artifact.schema,
        **_metadata(sampler.artifact),
        "step runs on": _kernel(path),
        "golden samples": {
            "replayed": sum(a == b for a, b in zip(made, golden.strings, strict=True)),
            "of": len(golden.strings),
        },
    }


def _kernel(path: Path) -> str:
    file = model_file(path)
    if file.suffix == ".ts":
        return "TorchScript"
    kernel = _core.OnnxModel(open_library(), file).kernel
    return f"vector code for {kernel}" if kernel else "nodes of ONNX Runtime"


def describe_run(path: Path) -> dict[str, Any]:
    """What would be the metadata of a run's artifact, its recipe, and how far it came."""
    artifact, more = _exporting("inspection").describe_run(path)
    return {"run": str(path), **_metadata(artifact), **more}


def draw(source: Path, folder: Path, **options: Any) -> list[str]:
    """Writes the pictures of a run to `folder`, says on stderr what is left out, and why."""
    drawn = _exporting("plots.pictures").draw(source, folder, **options)
    for reason in drawn.left_out:
        click.echo(f"left out: {reason}", err=True)
    return [str(path) for path in drawn.files]


def _is_run(path: Path) -> bool:
    checkpoints = ("best.safetensors", "last.safetensors")
    return path.suffix == ".safetensors" or any((path / name).exists() for name in checkpoints)


def _exporting(module: str) -> Any:
    """A module of the package that knows runs, which needs PyTorch."""
    try:
        return import_module(f"makemore_export.{module}")
    except ModuleNotFoundError as error:
        package, _, _ = (error.name or "").partition(".")
        raise OptionError(
            f"to inspect a run, {package} is needed: pip install 'makemore[export]'"
        ) from None


def _metadata(artifact: Artifact) -> dict[str, Any]:
    return {
        "model": artifact.model.type,
        "parameters": artifact.model.parameters,
        "precision": artifact.model.precision,
        "config": artifact.model.config,
        **_tokens(artifact),
        "block size": artifact.block_size,
        "max length": artifact.max_length,
        "states": {
            state.name: f"{state.dtype} {list(state.shape)}"
            + ("" if state.time_axis is None else f", time axis {state.time_axis}")
            for state in artifact.states
        },
        "data": msgspec.to_builtins(artifact.training.data),
        f"nats per {artifact.level}": {
            part: "infinite" if loss is None else loss
            for part, loss in artifact.training.losses.items()
        },
        "training steps": artifact.training.steps,
        "training seed": artifact.training.seed,
        "versions": artifact.versions,
    }


def _tokens(artifact: Artifact) -> dict[str, Any]:
    if artifact.level == "character":
        return {"characters": "".join(artifact.tokens)}
    return {"words": len(artifact.tokens), "most frequent": " ".join(artifact.tokens[:10]).split()}


def show(report: dict[str, Any]) -> None:
    """The report on stdout, a line or a few for each key."""
    width = max(map(len, report))
    for key, value in report.items():
        first, *more = _shown(value)
        click.echo(f"{key:<{width}}  {first}".rstrip())
        for line in more:
            click.echo(f"{'':<{width}}  {line}")


def _shown(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}: {', '.join(_shown(item))}" for key, item in value.items()] or ["none"]
    if isinstance(value, list):
        return [", ".join(map(str, value))]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, int):
        return [f"{value:,}"]
    if isinstance(value, float):
        return [f"{value:.4f}"]
    return ["none" if value is None else str(value)]
