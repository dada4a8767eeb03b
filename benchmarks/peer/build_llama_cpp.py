"""Builds llama.cpp for this processor, once, for benchmarks/peers.py.

    python benchmarks/peer/build_llama_cpp.py

Its source is that which llama-cpp-python has on PyPI, where no library of it is. Needs CMake and a
C++ compiler; on one core it takes minutes. Says how many.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

PACKAGE, VERSION = "llama-cpp-python", "0.3.36"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
X86 = platform.machine().lower() in {"amd64", "x86_64"}
BUILT = CACHE / "makemore" / f"{PACKAGE}-{VERSION}"
"""Of the library: `include` and `lib`."""
OPTIONS = (
    "CMAKE_BUILD_TYPE=Release",
    "CMAKE_INSTALL_RPATH=$ORIGIN",
    "CMAKE_BUILD_WITH_INSTALL_RPATH=ON",
    "GGML_NATIVE=ON",
    "GGML_OPENMP=OFF",
    "GGML_CPU_REPACK=OFF",
    "GGML_CCACHE=OFF",
    *(f"LLAMA_BUILD_{part}=OFF" for part in ("COMMON", "EXAMPLES", "SERVER", "TESTS", "TOOLS")),
    "LLAMA_CURL=OFF",
    *(f"CMAKE_{language}_FLAGS={'-mno-amx-int8' * X86}" for language in ("C", "CXX")),
)
"""Of one thread, without what is of no use in float32 and yet asked for at every operation: weights
repacked, or multiplied in tiles.
"""


def main() -> None:
    """Downloads, compiles, keeps."""
    if BUILT.is_dir():
        print(f"it is there: {BUILT}")
        return
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        root = source(Path(folder))
        build = Path(folder) / "build"
        run("cmake", "-S", root, "-B", build, *(f"-D{option}" for option in OPTIONS))
        run("cmake", "--build", build, "--target", "llama", "--parallel", "1")
        keep(root, build)
    print(f"{BUILT}: {time.perf_counter() - began:.0f} s")


def source(folder: Path) -> Path:
    """The folder of llama.cpp's source."""
    only = ("--no-deps", "--no-binary", PACKAGE)
    run(sys.executable, "-m", "pip", "download", *only, "-d", folder, f"{PACKAGE}=={VERSION}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"


def keep(root: Path, build: Path) -> None:
    """Puts headers and libraries into `BUILT`, all of them or none."""
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT.parent) as folder:
        new = Path(folder) / "new"
        shutil.copytree(root / "include", new / "include")
        shutil.copytree(root / "ggml" / "include", new / "include", dirs_exist_ok=True)
        shutil.copytree(build / "bin", new / "lib", symlinks=True)
        new.rename(BUILT)


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
