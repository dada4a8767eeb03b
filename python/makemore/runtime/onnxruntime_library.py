"""Finds the ONNX Runtime that is installed and opens it, once, with the first artifact."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from makemore import _core
from makemore.errors import OrtError

# Linux, macOS, Windows, as the wheels of onnxruntime name the library in `capi/`.
_LIBRARY_NAME = re.compile(
    r"libonnxruntime\.so(\.\d+)*|libonnxruntime(\.\d+)*\.dylib|onnxruntime\.dll"
)
_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
"""Distributions that install the package `onnxruntime`, each over the files of the others."""


def installed_packages() -> list[str]:
    """Those of the distributions of ONNX Runtime that are installed, with their versions."""
    found = []
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return found


def find_library() -> Path:
    """Absolute path of the installed ONNX Runtime's shared library, found without importing it.

    Raises `OrtError` with the cure where there is none.
    """
    spec = find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        raise OrtError(
            "no onnxruntime is installed: pip install 'makemore[cpu]', or 'makemore[cuda]' for GPUs"
        )
    folder = Path(spec.submodule_search_locations[0], "capi")
    paths = [path for path in folder.glob("*onnxruntime*") if _LIBRARY_NAME.fullmatch(path.name)]
    libraries = {path.resolve() for path in paths}
    if not libraries:
        raise OrtError(
            f"onnxruntime in {folder.parent} holds no shared library (1.20 or newer does): "
            "pip install --upgrade onnxruntime"
        )
    if len(libraries) > 1:
        raise OrtError(
            f"several ONNX Runtimes lie in {folder}: {', '.join(sorted(p.name for p in libraries))}"
            f" ({', '.join(installed_packages())} installed): pip uninstall them all, install one"
        )
    return libraries.pop()


_opening = threading.RLock()
if hasattr(os, "register_at_fork"):  # a fork waits for a thread that opens it: the child could not
    os.register_at_fork(
        before=_opening.acquire,
        after_in_parent=_opening.release,
        after_in_child=_opening.release,
    )


def open_library() -> _core.Library:
    """The opened library, one for the process; its threads and memory last as long as that.

    From 1.29 on ONNX Runtime reports to Microsoft what it runs, unless this variable is set before
    it is opened. Who wants that sets it to 0.
    """
    with _opening:
        return _open_library()


@functools.cache  # alone it would open the library twice where two threads are the first
def _open_library() -> _core.Library:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return _core.Library(find_library())
