"""Finds the ONNX Runtime that is installed and opens it, once, with the first artifact."""

from __future__ import annotations

import functools
import re
from importlib.util import find_spec
from pathlib import Path

from makemore import _core
from makemore.errors import OrtError

# Linux, macOS, Windows, as the wheels of onnxruntime name the library in `capi/`.
_LIBRARY_NAME = re.compile(
    r"libonnxruntime\.so(\.\d+)*|libonnxruntime(\.\d+)*\.dylib|onnxruntime\.dll"
)


def find_library() -> Path:
    """Absolute path of the installed ONNX Runtime's shared library, found without importing it.

    Raises `OrtError` with the cure where there is none.
    """
    spec = find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        raise OrtError(
            "no onnxruntime is installed: pip install 'makemore[cpu]', or 'makemore[cuda]' for GPUs"
        )
    folders = [Path(location, "capi") for location in spec.submodule_search_locations]
    for folder in folders:
        for path in sorted(folder.glob("*onnxruntime*")):
            if _LIBRARY_NAME.fullmatch(path.name):
                return path.resolve()
    raise OrtError(
        f"onnxruntime in {folders[0].parent} holds no shared library (1.20 or newer does): "
        "pip install --upgrade onnxruntime"
    )


@functools.cache
def open_library() -> _core.Library:
    """The opened library; its threads and memory last as long as the process."""
    return _core.Library(find_library())
