"""The options that write a page which samples in a browser."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from makemore.errors import OptionError

from makemore_export.packing.web_page import RUNTIME_VERSION, read_runtime, web_files

runtime_option = click.option(
    "--ort-web",
    type=click.Path(path_type=Path),
    help=f"Where --web takes ONNX Runtime from: the folder of onnxruntime-web {RUNTIME_VERSION}, "
    "or the .tgz of npm pack.  [default: node_modules here or above, or the .tgz here]",
)


def read_page(artifact: str, *, web: bool, runtime: Path | None) -> dict[str, bytes]:
    """The files of --web for an artifact of that name; none where --web was not given."""
    if not web:
        if runtime is not None:
            raise OptionError("--ort-web is for --web")
        return {}
    return web_files(artifact, read_runtime(runtime))


def serve_command(folder: Path) -> str:
    """What a terminal needs to show the page in `folder`, which no browser opens as a file."""
    return f"python -m http.server -d {shlex.quote(str(folder))}, then http://localhost:8000"
