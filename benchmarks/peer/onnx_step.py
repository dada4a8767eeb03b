"""The artifact's `model.onnx` for runtimes other than ours."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.inliner
from makemore_export.models import Model
from onnx import helper


def standard_step(artifact: Path) -> onnx.ModelProto:
    """The step in standard operators alone."""
    return onnx.inliner.inline_local_functions(onnx.load(artifact / "model.onnx"))


def onnx_step(artifact: Path, model: Model) -> onnx.ModelProto:
    """The same that begins, at position 0, from a state of zeros.

    A cache needs nothing there: the step at position p reads slots 0 to p, and writes p itself.
    """
    proto = standard_step(artifact)
    specs = [spec for spec in model.states() if spec.time_axis is None]
    if not specs:
        return proto
    for node in proto.graph.node:
        for i, name in enumerate(node.input):
            if any(name == spec.name for spec in specs):
                node.input[i] = f"{name}_kept"
    kept = [
        helper.make_node("Sign", ["position"], ["begun"]),
        helper.make_node("Unsqueeze", ["begun", "one"], ["begun_column"]),
    ]
    one = helper.make_tensor("one", onnx.TensorProto.INT64, [1], [1])
    proto.graph.initializer.append(one)
    for spec in specs:
        kind = onnx.TensorProto.DataType.Value(spec.dtype.replace("float32", "FLOAT").upper())
        begun = "begun_column" if spec.shape else "begun"
        cast = helper.make_node("Cast", [begun], [f"{spec.name}_begun"], to=kind)
        product = [f"{spec.name}_begun", spec.name]
        kept += [cast, helper.make_node("Mul", product, [f"{spec.name}_kept"])]
    nodes = [*kept, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.checker.check_model(proto)
    return proto
