"""Folders that are no artifacts, but that another package can sample from."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from makemore.errors import MissingDependencyError
from makemore.sampler import Sampler

GROUP = "makemore.folders"
"""Entry points of functions: a path -> a `Sampler`, or None for a folder of another kind."""


def open_folder(path: Path) -> Sampler | None:
    """A sampler over a folder without an artifact; None for an artifact, or where nobody knows it.

    `MissingDependencyError` where the package that would know is not installed whole.
    """
    if not path.is_dir() or any((path / name).exists() for name in ("model.onnx", "model.ts")):
        return None
    for point in entry_points(group=GROUP):
        try:
            opened = cast("Callable[[Path], Sampler | None]", point.load())(path)
        except ImportError as error:
            if any(path.glob("*.safetensors")):
                raise MissingDependencyError(
                    f"{path}: a run is sampled in PyTorch: {error}; pip install 'makemore[export]'"
                ) from None
            continue
        if opened is not None:
            return opened
    return None
