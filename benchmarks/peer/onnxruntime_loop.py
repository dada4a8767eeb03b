"""The artifact's `model.onnx` in onnxruntime's shared library, in a loop in C++ with IO binding.

The loop, onnxruntime_loop.cpp, is compiled before what is timed. A transformer takes a graph of
GroupQueryAttention, whose caches are written in place, which onnxruntime does faster than the
artifact's standard operators.
"""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from makemore.runtime.onnxruntime_library import find_library
from numpy.typing import NDArray

from peer import NotComparableError, Peer, Source
from peer.gqa_graph import Graph
from peer.onnx_step import standard_step

CSRC = Path(__file__).parents[2] / "csrc"
SOURCES = (
    Path(__file__).with_suffix(".cpp"),
    *(CSRC / "ort" / name for name in ("io_binding.cpp", "ort_library.cpp")),
    CSRC / "base" / "memory_block.cpp",
)
FLAGS = ("-std=c++20", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")


class OnnxRuntimeLoop(Peer):
    """One session for every batch size; buffers and bindings are kept while it stays the same."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.library = compile_loop()
        is_transformer = source.checkpoint.run.model == "transformer"
        proto = (
            Graph(source.transformer).rows() if is_transformer else standard_step(source.artifact)
        )
        model = proto.SerializeToString()
        self.vocab_size = len(self.letters)
        library = os.fsencode(find_library())
        self.loop = ctypes.c_void_p(
            self.library.loop_open(library, model, ctypes.c_size_t(len(model)), self.vocab_size)
        )
        states = [v for v in proto.graph.input if v.name not in {"token", "position"}]
        for before, after in zip(states, proto.graph.output[1:], strict=True):
            self.add_state(before, after.name, in_place=is_transformer)

    def add_state(self, value: onnx.ValueInfoProto, output: str, *, in_place: bool) -> None:
        """Hands a state of the step over to the loop: a cache is written in place."""
        tensor = value.type.tensor_type
        shape = [dimension.dim_value for dimension in tensor.shape.dim[1:]]
        size = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
        self.library.loop_add_state(
            self.loop,
            value.name.encode(),
            output.encode(),
            (ctypes.c_int64 * len(shape))(*shape),
            ctypes.c_size_t(len(shape)),
            tensor.elem_type,
            ctypes.c_size_t(size * math.prod(shape)),
            in_place,
            not in_place,
        )

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
        found = np.empty((length, rows, self.vocab_size), np.float32)
        self.library.loop_start(self.loop, ctypes.c_size_t(rows))
        for t, now in enumerate(np.ascontiguousarray(tokens.T)):
            arrays = now, np.full_like(now, t), found[t]
            pointers = (ctypes.c_void_p(array.ctypes.data) for array in arrays)
            self.library.loop_step(self.loop, *pointers)
        return found.swapaxes(0, 1)


def compile_loop() -> ctypes.CDLL:
    """The loop, compiled for this processor; `NotComparableError` where there is no compiler."""
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "loop.so"
        command = [os.environ.get("CXX", "c++"), *FLAGS, f"-I{CSRC / 'ort'}", f"-I{CSRC / 'base'}"]
        try:
            subprocess.run([*command, *SOURCES, "-o", shared, "-ldl"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotComparableError(f"its loop does not compile: {error}") from None
        library = ctypes.CDLL(os.fspath(shared))
    library.loop_open.restype = ctypes.c_void_p
    return library


def load(source: Source) -> Peer:
    return OnnxRuntimeLoop(source)
