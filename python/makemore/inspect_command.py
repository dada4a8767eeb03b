"""`mm-inspect`: what is in an artifact; with no argument, what this machine offers."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import msgspec

from makemore._core import Library
from makemore.command import Command
from makemore.errors import OrtError
from makemore.loading import load, usable_cores
from makemore.onnxruntime_library import find_library, installed_packages, open_library
from makemore.sampler import Sampler


@click.command(cls=Command)
@click.argument("artifact", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def inspect(artifact: Path | None, as_json: bool) -> None:
    """Shows what is in ARTIFACT and replays its golden samples; exits 1 where they differ.

    With no ARTIFACT: which ONNX Runtime is found, its version, path and providers, and the machine.
    """
    if artifact is None:
        report = describe_environment()
        good = "onnxruntime error" not in report
    else:
        report = describe_artifact(artifact, load(artifact))
        good = report["golden samples"]["replayed"] == report["golden samples"]["of"]
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        show(report)
    sys.exit(0 if good else 1)


def describe_environment() -> dict[str, Any]:
    """Versions, the ONNX Runtime that artifacts would run on, and the machine."""
    report: dict[str, Any] = {
        "makemore": _version("makemore"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "machine": f"{platform.system()} {platform.machine()}, {_cpu_name()}",
        "cpu features": _cpu_features(),
        "cores": usable_cores(),
        "onnxruntime packages": installed_packages(),
    }
    try:
        path = find_library()
        library = open_library()
    except OrtError as error:
        report["onnxruntime error"] = str(error)
    else:
        report["onnxruntime"] = library.version
        report["onnxruntime self-test"] = "passed"  # opening it runs a model
        report["onnxruntime library"] = str(path)
        report["onnxruntime providers"] = library.providers()
        report["cuda"] = _cuda(library)
    packages = ("numpy", "torch", "onnx", "onnxscript", "safetensors")
    return report | {package: _version(package) for package in packages}


def describe_artifact(path: Path, sampler: Sampler) -> dict[str, Any]:
    """The metadata of an artifact, and whether it still makes its golden samples."""
    artifact = sampler.artifact
    golden = artifact.golden
    made = sampler.sample(len(golden.strings), seed=golden.seed)
    data = artifact.training.data
    return {
        "artifact": str(path),
        "schema": artifact.schema,
        "model": artifact.model.type,
        "parameters": artifact.model.parameters,
        "config": artifact.model.config,
        "characters": "".join(artifact.characters),
        "block size": artifact.block_size,
        "max length": artifact.max_length,
        "states": {
            state.name: f"{state.dtype} {list(state.shape)}"
            + ("" if state.time_axis is None else f", time axis {state.time_axis}")
            for state in artifact.states
        },
        "data": msgspec.to_builtins(data),
        "nats per character": {
            part: "infinite" if loss is None else loss
            for part, loss in artifact.training.losses.items()
        },
        "training steps": artifact.training.steps,
        "training seed": artifact.training.seed,
        "versions": artifact.versions,
        "golden samples": {
            "replayed": sum(a == b for a, b in zip(made, golden.strings, strict=True)),
            "of": len(golden.strings),
        },
    }


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
    if isinstance(value, int):
        return [f"{value:,}"]
    if isinstance(value, float):
        return [f"{value:.4f}"]
    return ["none" if value is None else str(value)]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cuda(library: Library) -> str:
    try:
        library.require_cuda()
    except OrtError as error:
        return str(error)
    return "available"


def _cpu_name() -> str:
    return _cpuinfo("model name") or platform.processor() or "unknown processor"


def _cpu_features() -> list[str]:
    """Vector extensions, as Linux names them; other systems do not tell."""
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    return [flag for flag in flags if flag.startswith(("avx", "fma", "f16c", "asimd", "sve"))]


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
