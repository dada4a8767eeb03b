"""The artifact's `model.onnx` in OpenVINO, in a loop in NumPy.

States of floats become variables inside the model (`make_stateful`), so that they are not handed
over at every step.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino._offline_transformations import apply_make_stateful_transformation

from peer import Peer, Source
from peer.onnx_step import onnx_step
from peer.refill import RefillLoop, Run


class OpenVino(RefillLoop):
    """One request for every batch size: its variables are reset to zeros of the new size."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        proto = onnx_step(source.artifact, source.model).SerializeToString()
        model = ov.Core().read_model(proto)
        self.specs = source.model.states()
        pairs = zip(self.specs, model.outputs[1:], strict=True)
        variables = {spec.name: out.any_name for spec, out in pairs if spec.dtype == "float32"}
        apply_make_stateful_transformation(model, variables)
        options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        self.request = ov.compile_model(model, "CPU", options).create_infer_request()

    def start(self, rows: int) -> Run:
        request = self.request
        for variable in request.query_state():
            variable.state = ov.Tensor(np.zeros((rows, *variable.state.shape[1:]), np.float32))
        # No variable holds integers: such a state is handed over at every step.
        rest = [np.zeros((rows, *s.shape), s.dtype) for s in self.specs if s.dtype != "float32"]

        def run(token: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.float32]:
            request.infer([token, position, *rest], share_inputs=True)
            rest[:] = [request.get_output_tensor(1 + i).data.copy() for i in range(len(rest))]
            return request.get_output_tensor(0).data

        return run


def load(source: Source) -> Peer:
    return OpenVino(source)
