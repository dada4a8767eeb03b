"""A library's step in a loop in C++, cpp_loop.cpp, which is compiled before what is timed."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peer import NotComparableError, Peer, Source

FOLDER = Path(__file__).parent
# Those of -ffast-math, with which itself a library would have the whole process flush subnormals to
# zero as it is loaded.
FAST_MATH = (
    "-fno-math-errno",
    "-fno-signed-zeros",
    "-fno-trapping-math",
    "-fassociative-math",
    "-freciprocal-math",
    "-ffinite-math-only",
)
FLAGS = ("-std=c++20", "-O3", "-march=native", *FAST_MATH, "-shared", "-fPIC")


class CppLoop(Peer):
    """What a row holds is made anew where the batch size changes, else kept from call to call."""

    def __init__(self, source: Source, step: str, *arguments: str | Path) -> None:
        """`step` is a file of this folder; `arguments` are more sources, and options."""
        super().__init__(source)
        self.library = compiled(FOLDER / "cpp_loop.cpp", FOLDER / step, *arguments)
        self.library.loop_open.restype = ctypes.c_void_p

    def open(self, *arguments: object) -> None:
        """Makes the loop: `loop_open` of `step`."""
        self.loop = ctypes.c_void_p(self.library.loop_open(*arguments))

    def generate(self, n: int, batch_size: int, seed: int) -> NDArray[np.int32]:
        ids = np.zeros((n, self.max_length), np.int32)
        self.library.loop_generate(
            self.loop,
            ctypes.c_int64(n),
            ctypes.c_size_t(min(n, batch_size)),
            ctypes.c_uint64(seed),
            ctypes.c_int64(self.max_length),
            ctypes.c_void_p(ids.ctypes.data),
        )
        return ids

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        rows, length = tokens.shape
        found = np.empty((length, rows, len(self.letters)), np.float32)
        self.library.loop_start(self.loop, ctypes.c_size_t(rows))
        for arrays in zip(np.ascontiguousarray(tokens.T), found, strict=True):
            pointers = (ctypes.c_void_p(array.ctypes.data) for array in arrays)
            self.library.loop_step(self.loop, *pointers)
        return found.swapaxes(0, 1)


def compiled(*arguments: str | Path) -> ctypes.CDLL:
    """For this processor; `NotComparableError` where there is no compiler."""
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "loop.so"
        command = [os.environ.get("CXX", "c++"), *FLAGS, *arguments, "-o", shared]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotComparableError(f"its loop does not compile: {error}") from None
        return ctypes.CDLL(os.fspath(shared))
