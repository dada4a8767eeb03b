"""Several models and their mixture as one graph, each model a call of its own function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, helper, numpy_helper

DOMAIN = "makemore"
"""Of the functions that steps are exported as."""

MIXTURE = "Mixture"
SHARED = ("token", "position")


def mixture_graph(parts: Sequence[ModelProto], weights: NDArray[np.float32]) -> ModelProto:
    """The mixture, by `weights` (K,), of K models, each a graph of one call.

    The states of model i get `part{i}_` before their names, its weights `part{i}.`.
    """
    graph = GraphProto(name="main_graph")
    graph.input.extend(parts[0].graph.input[: len(SHARED)])
    graph.output.append(parts[0].graph.output[0])
    functions: dict[str, FunctionProto] = {}
    for i, part in enumerate(parts):
        _add_part(graph, functions, part, i)
    logits = [node.output[0] for node in graph.node]
    graph.node.append(helper.make_node(MIXTURE, [*logits, "weights"], ["logits"], domain=DOMAIN))
    graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    first = parts[0]
    body = _mixture_function(len(parts), first.functions[0].opset_import)
    return helper.make_model(
        graph,
        functions=[*functions.values(), body],
        opset_imports=first.opset_import,
        ir_version=first.ir_version,
        producer_name=first.producer_name,
        producer_version=first.producer_version,
    )


def _add_part(
    graph: GraphProto, functions: dict[str, FunctionProto], part: ModelProto, i: int
) -> None:
    """Its call, its states and its weights, and its function, unless there is one alike."""
    (call,), (function,) = part.graph.node, part.functions
    if functions.setdefault(function.name, function) != function:
        function.name += f"_{i}"
        functions[function.name] = function
    names = {name: name for name in SHARED}
    for value in part.graph.input[len(SHARED) :]:
        names[value.name] = f"part{i}_{value.name}"
    for value in part.graph.output:
        bare = value.name.removeprefix("next_")
        prefix = "next_" if bare != value.name else ""
        names[value.name] = f"{prefix}part{i}_{bare}"
    for weight in part.graph.initializer:
        names[weight.name] = f"part{i}.{weight.name}"
    graph.node.append(
        NodeProto(
            op_type=function.name,
            domain=DOMAIN,
            input=[names[name] for name in call.input],
            output=[names[name] for name in call.output],
            attribute=call.attribute,
        )
    )
    added = (
        (graph.input, part.graph.input[len(SHARED) :]),
        (graph.output, part.graph.output[1:]),
        (graph.initializer, part.graph.initializer),
    )
    for to, values in added:
        for value in values:
            to.add().CopyFrom(value)
            to[-1].name = names[value.name]


def _mixture_function(count: int, opsets: Sequence[onnx.OperatorSetIdProto]) -> FunctionProto:
    """Log-probabilities from the logits of `count` models and their weights."""
    logits = [f"logits_{i}" for i in range(count)]
    nodes = []
    for i, name in enumerate(logits):
        nodes += [
            helper.make_node("Constant", [], [f"index_{i}"], value_int=i),
            helper.make_node("Gather", ["weights", f"index_{i}"], [f"weight_{i}"]),
            helper.make_node("Softmax", [name], [f"probabilities_{i}"], axis=-1),
            helper.make_node("Mul", [f"probabilities_{i}", f"weight_{i}"], [f"weighted_{i}"]),
        ]
    total = "weighted_0"
    for i in range(1, count):
        nodes.append(helper.make_node("Add", [total, f"weighted_{i}"], [f"total_{i}"]))
        total = f"total_{i}"
    nodes.append(helper.make_node("Log", [total], ["mixed"]))
    return helper.make_function(DOMAIN, MIXTURE, [*logits, "weights"], ["mixed"], nodes, opsets)
