"""What `mm-inspect` shows of an artifact, and how it shows a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from makemore import _core
from makemore.artifact import Artifact
from makemore.commands.terminal import as_one_line, to_show
from makemore.runtime.onnxruntime_library import open_library
from makemore.sampler import Sampler
from makemore.source import model_file


def describe_artifact(path: Path, sampler: Sampler, *, trust: bool = False) -> dict[str, Any]:
    """The metadata of an artifact, and whether it still makes its golden samples."""
    golden = sampler.artifact.golden
    prints = sampler.fingerprints()
    made = sampler.sample(len(golden.strings), seed=golden.seed, min_length=0)
    return {
        "artifact": str(path),
        "schema": sampler.artifact.schema,
        **describe_metadata(sampler.artifact),
        "fingerprints of lines": 0 if prints is None else len(prints),
        "step runs on": _kernel(path, trust),
        "golden samples": {
            "replayed": sum(a == b for a, b in zip(made, golden.strings, strict=True)),
            "of": len(golden.strings),
        },
    }


def describe_next(sampler: Sampler, prefix: str, label: str | None = None) -> dict[str, Any]:
    """What may follow a prefix, the likeliest first, with its probability; the stop is "(end)".

    label: of the string, under a model that was trained with labels.
    """
    tokens = sampler.next_tokens(prefix, label=label)
    after = f"after {prefix!r}" if label is None else f"after {prefix!r} of {label!r}"
    return {after: {repr(t.text) if t.text else "(end)": t.probability for t in tokens}}


def _kernel(path: Path, trust: bool) -> str:
    file = model_file(path)
    if file.suffix == ".ts":
        return "TorchScript"
    kernel = _core.OnnxModel(open_library(), file, trust=trust).kernel
    return f"vector code for {kernel}" if kernel else "nodes of ONNX Runtime"


def describe_metadata(artifact: Artifact) -> dict[str, Any]:
    """What an artifact holds, by the names that people read."""
    return {
        "model": artifact.model.type,
        "parameters": artifact.model.parameters,
        "precision": artifact.model.precision,
        "config": artifact.model.config,
        **_tokens(artifact),
        **({"labels": list(artifact.labels)} if artifact.labels else {}),
        "block size": artifact.block_size,
        "max length": artifact.max_length,
        "states": {
            state.name: f"{state.dtype} {list(state.shape)}"
            + ("" if state.time_axis is None else f", time axis {state.time_axis}")
            for state in artifact.states
        },
        **_origin(artifact),
        **_training(artifact),
        "versions": artifact.versions,
    }


def _origin(artifact: Artifact) -> dict[str, Any]:
    origin = artifact.origin
    return {} if origin is None else {"imported from": msgspec.to_builtins(origin)}


def _training(artifact: Artifact) -> dict[str, Any]:
    training = artifact.training
    if training is None:
        return {}
    return {
        "data": msgspec.to_builtins(training.data),
        f"nats per {artifact.level}": {
            name: "infinite" if loss is None else loss for name, loss in training.losses.items()
        },
        "training steps": training.steps,
        "training seed": training.seed,
        **({"refitted on": "train and dev"} if training.refit else {}),
    }


def _tokens(artifact: Artifact) -> dict[str, Any]:
    if artifact.level == "character":
        return {"characters": "".join(artifact.tokens)}
    if artifact.level == "token":
        pattern = {} if artifact.split_pattern is None else {"split by": artifact.split_pattern}
        return {"tokens": len(artifact.tokens), "such as": list(artifact.tokens[:10]), **pattern}
    return {"words": len(artifact.tokens), "most frequent": " ".join(artifact.tokens[:10]).split()}


def show(report: dict[str, Any]) -> None:
    r"""The report on stdout, a line or a few for each key; a line end in a value is \n."""
    width = max(map(len, report))
    for key, value in report.items():
        first, *more = _shown(value)
        click.echo(to_show(as_one_line(f"{key:<{width}}  {first}").rstrip()))
        for line in more:
            click.echo(to_show(as_one_line(f"{'':<{width}}  {line}")))


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
        return [f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.4g}"]
    return ["none" if value is None else str(value)]
