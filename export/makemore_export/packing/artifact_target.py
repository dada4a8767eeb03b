"""Where an artifact may be written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from makemore.errors import OptionError

from makemore_export.packing.web_page import WEB_FILES

NO_PAGE: Mapping[str, bytes] = MappingProxyType({})
TORCHSCRIPT = "model.ts"
FILES = frozenset({"model.onnx", TORCHSCRIPT, "README.md", "report.json", *WEB_FILES})
"""What an artifact's folder may hold, and nothing else."""


def check_target(out: Path) -> None:
    """`OptionError` unless `out` is free, empty, or holds an artifact and nothing else."""
    if out.resolve() == Path.cwd():
        raise OptionError(
            f"{out}: is the working directory, which cannot be replaced; name another"
        )
    if not out.exists():
        return
    if not out.is_dir():
        raise OptionError(f"{out}: is a file; an artifact is a folder")
    names = {path.name for path in out.iterdir()}
    if names - FILES or (names and "model.onnx" not in names):
        raise OptionError(
            f"{out}: holds {min(names - FILES or names)!r}, so it is not an artifact to replace"
        )
