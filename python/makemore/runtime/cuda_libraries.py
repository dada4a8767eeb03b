"""CUDA's libraries: found where pip puts them, and named where they are missing."""

from __future__ import annotations

import ctypes
import re
from importlib.util import find_spec
from pathlib import Path

from makemore import _core
from makemore.errors import OrtError

_MISSING = re.compile(r"(lib[\w+-]+\.so[\d.]*): cannot open shared object file")


def require_cuda(library: _core.Library) -> None:
    """Returns where CUDA runs a model; raises `OrtError` with what is missing where it does not.

    A library that the system's loader does not find is looked for in the wheels of NVIDIA
    (site-packages/nvidia), which PyTorch brings along, and loaded from there.
    """
    _load("libcudnn.so")  # ONNX Runtime opens it late, and not for every model
    loaded = set()
    while missing := _missing(library):
        if missing in loaded or not _load(missing):
            raise OrtError(_explained(library, missing))
        loaded.add(missing)


def _missing(library: _core.Library) -> str | None:
    """The library that the loader does not find, or None where CUDA runs."""
    try:
        library.require_cuda()
    except OrtError as error:
        if found := _MISSING.search(str(error)):
            return found[1]
        raise
    return None


def _found(pattern: str) -> list[Path]:
    """Files of that name in the wheels of NVIDIA."""
    spec = find_spec("nvidia")
    folders = spec.submodule_search_locations or [] if spec else []
    return sorted(path for folder in folders for path in Path(folder).glob(f"**/lib/{pattern}"))


def _load(name: str) -> bool:
    """Loads a library for all that will ask for it by its name; false where there is none."""
    for path in _found(f"{name}*"):
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False


def _explained(library: _core.Library, missing: str) -> str:
    found = f"device 'cuda' cannot be had: ONNX Runtime {library.version} misses {missing}"
    name = missing.partition(".so")[0]
    if name == "libcuda":
        return f"{found}: no NVIDIA driver is installed"
    others = [path.name for path in _found(f"{name}.so*")]
    if others:
        return (
            f"{found}, and finds {', '.join(others)}: install the CUDA of that version, or an "
            "onnxruntime-gpu built for the CUDA at hand"
        )
    return f"{found}: install CUDA and cuDNN; pip install 'onnxruntime-gpu[cuda,cudnn]' brings both"
