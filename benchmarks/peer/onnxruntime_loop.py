"""The artifact's `model.onnx` in onnxruntime's shared library, in a loop in C++ with IO binding.

A transformer takes a graph of GroupQueryAttention, whose caches are written in place, which
onnxruntime does faster than the artifact's standard operators. With int8 its own tool makes each
product of a matrix one of int8, with inputs rounded to 8 bits.
"""

from __future__ import annotations

import ctypes
import math
import os
import tempfile
from pathlib import Path

import onnx
from makemore.runtime.onnxruntime_library import find_library
from onnxruntime.quantization import QuantType, quantize_dynamic

from peer import Peer, Source
from peer.cpp_loop import CppLoop
from peer.gqa_graph import Graph
from peer.onnx_step import standard_step

CSRC = Path(__file__).parents[2] / "csrc"
SOURCES = (
    *(CSRC / "ort" / name for name in ("io_binding.cpp", "ort_library.cpp")),
    CSRC / "base" / "memory_block.cpp",
)


class OnnxRuntimeLoop(CppLoop):
    """One session for every batch size, with bindings of its own."""

    def __init__(self, source: Source, *, int8: bool = False) -> None:
        folders = (f"-I{CSRC / name}" for name in ("ort", "base"))
        super().__init__(source, "onnxruntime_loop.cpp", *SOURCES, *folders, "-ldl")
        is_transformer = source.checkpoint.run.model == "transformer"
        proto = (
            Graph(source.transformer).rows() if is_transformer else standard_step(source.artifact)
        )
        if int8:
            proto = in_int8(proto)
            self.largest_error = 0.5
        model = proto.SerializeToString()
        sizes = (ctypes.c_size_t(size) for size in (len(model), len(self.letters)))
        self.open(os.fsencode(find_library()), model, *sizes)
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


def in_int8(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Its matrices in int8, a scale for each output."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        kind = {"DefaultTensorType": onnx.TensorProto.FLOAT}  # where it cannot tell
        quantize_dynamic(
            proto, path, per_channel=True, weight_type=QuantType.QInt8, extra_options=kind
        )
        return onnx.load(path)


def load(source: Source, *options: str) -> Peer:
    return OnnxRuntimeLoop(source, int8="int8" in options)
