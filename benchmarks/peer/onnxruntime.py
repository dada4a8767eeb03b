"""The artifact's `model.onnx` in the onnxruntime package, in a loop in NumPy.

Two sets of states take turns as input and output of a step, so that none is copied or made anew.
"""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from peer import Peer, Source
from peer.onnx_step import onnx_step
from peer.refill import RefillLoop, Run


class OnnxRuntime(RefillLoop):
    """One session for every batch size."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        proto = onnx_step(source.artifact, source.model).SerializeToString()
        self.session = ort.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
        self.specs = source.model.states()

    def start(self, rows: int) -> Run:
        names = [value.name for value in self.session.get_outputs()]
        tokens, positions = np.zeros((2, rows), np.int64)
        logits = np.zeros((rows, len(self.letters)), np.float32)
        states = [
            [np.zeros((rows, *spec.shape), spec.dtype) for spec in self.specs] for _ in range(2)
        ]
        value = ort.OrtValue.ortvalue_from_numpy  # shares the memory of the array
        bindings = []
        for now, following in (states, states[::-1]):
            binding = self.session.io_binding()
            for spec, array in zip(self.specs, now, strict=True):
                binding.bind_ortvalue_input(spec.name, value(array))
            binding.bind_ortvalue_input("token", value(tokens))
            binding.bind_ortvalue_input("position", value(positions))
            for name, array in zip(names, [logits, *following], strict=True):
                binding.bind_ortvalue_output(name, value(array))
            bindings.append(binding)
        turns = itertools.cycle(bindings)

        def run(token: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.float32]:
            tokens[:], positions[:] = token, position
            self.session.run_with_iobinding(next(turns))
            return logits

        return run


def load(source: Source) -> Peer:
    return OnnxRuntime(source)
