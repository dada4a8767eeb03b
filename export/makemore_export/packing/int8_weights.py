"""Matrices of an ONNX file in int8, each with a node that makes floats of it."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import torch
from onnx import helper, numpy_helper

from makemore_export.models import Model
from makemore_export.packing.precision import matrices, quantized


def store_as_int8(proto: onnx.ModelProto, model: Model) -> None:
    """Replaces the matrices of an int8 model: a DequantizeLinear for each, before all other nodes,
    gives the same floats under the same name.
    """
    names = {*_names(model)}
    graph = proto.graph
    stored: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []
    for tensor in graph.initializer:
        if tensor.name not in names:
            stored.append(tensor)
            continue
        weight = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        numbers, scales = quantized(weight)
        if not torch.equal(numbers * scales[:, None], weight):
            raise ValueError(f"{tensor.name}: is not rounded to int8")
        inputs = [f"{tensor.name}.int8", f"{tensor.name}.scale"]
        values = (numbers.to(torch.int8), scales)
        stored += [
            numpy_helper.from_array(value.numpy(), name)
            for name, value in zip(inputs, values, strict=True)
        ]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [tensor.name], axis=0))
    nodes += graph.node
    graph.ClearField("initializer")
    graph.ClearField("node")
    graph.initializer.extend(stored)
    graph.node.extend(nodes)


def _names(model: Model) -> Iterator[str]:
    """Of the matrices, within a file of this model alone and within a mixture of functions."""
    for name, _ in matrices(model):
        yield f"model.{name}"
    for i, component in enumerate(model.components()):
        for name, _ in matrices(component):
            yield f"part{i}.model.{name}"
