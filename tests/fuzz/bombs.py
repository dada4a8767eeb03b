"""Mutations that add what takes memory or time without end, or what no step has business with."""

from __future__ import annotations

import random
from collections.abc import Callable

import numbers_pool
import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def _constant(model: ModelProto, name: str, value: np.ndarray) -> str:
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def behind_logits(model: ModelProto, nodes: list[NodeProto], last: NodeProto) -> None:
    """Puts `nodes` between the graph and its logits; they read "raw", `last` writes the logits."""
    logits = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["raw" if name == logits else name for name in node.output]
    last.output[0] = logits
    model.graph.node.extend([*nodes, last])


def huge_constant(model: ModelProto, rng: random.Random) -> None:
    """A constant of gigabytes, summed."""
    size = rng.choice((2**20, 2**28, 2**30, 2**33, 2**40, 2**62, -1))
    value = helper.make_tensor("value", rng.choice((FLOAT, INT64)), [1], [1])
    shape = _constant(model, "bomb_shape", np.array([size], np.int64))
    nodes = [
        helper.make_node("ConstantOfShape", [shape], ["bomb"], value=value),
        helper.make_node("ReduceSum", ["bomb"], ["bomb_sum"], keepdims=0),
        helper.make_node("Cast", ["bomb_sum"], ["bomb_float"], to=FLOAT),
    ]
    behind_logits(model, nodes, helper.make_node("Add", ["raw", "bomb_float"], [""]))


def huge_tensor(model: ModelProto, rng: random.Random) -> None:
    """A small tensor blown up at each step."""
    size = rng.choice((2**20, 2**28, 2**32, 2**40))
    op = rng.choice(("Expand", "Tile", "Range", "Resize"))
    one = _constant(model, "bomb_one", np.array([1], np.float32))
    size_name = _constant(model, "bomb_size", np.array([size], np.int64))
    if op == "Range":
        start = _constant(model, "bomb_start", np.array(0, np.float32))
        limit = _constant(model, "bomb_limit", np.array(size, np.float32))
        step = _constant(model, "bomb_step", np.array(rng.choice((1, 0, -1, 1e-30)), np.float32))
        made = helper.make_node(op, [start, limit, step], ["bomb"])
    elif op == "Resize":
        made = helper.make_node(op, [one, "", "", size_name], ["bomb"])
    else:
        made = helper.make_node(op, [one, size_name], ["bomb"])
    total = helper.make_node("ReduceSum", ["bomb"], ["bomb_sum"], keepdims=0)
    behind_logits(model, [made, total], helper.make_node("Add", ["raw", "bomb_sum"], [""]))


def doubling(model: ModelProto, rng: random.Random) -> None:
    """Each node makes its input twice as long."""
    value = _constant(model, "double_0", np.ones(1, np.float32))
    nodes = []
    for i in range(rng.choice((4, 28, 40, 64))):
        nodes.append(helper.make_node("Concat", [value, value], [f"double_{i + 1}"], axis=0))
        value = f"double_{i + 1}"
    nodes.append(helper.make_node("ReduceSum", [value], ["bomb_sum"], keepdims=0))
    behind_logits(model, nodes, helper.make_node("Add", ["raw", "bomb_sum"], [""]))


def loop(model: ModelProto, rng: random.Random) -> None:
    """A loop, without end or nearly."""
    add_loop(model, rng.choice((2**62, 2**40, 10**7, 3)), limited=rng.random() < 0.5)


def add_loop(model: ModelProto, trips: int, *, limited: bool = True) -> None:
    """A Loop over the logits that leaves them as they are."""
    trips_name = _constant(model, "trips", np.array(trips, np.int64))
    go_on = _constant(model, "go_on", np.array(True))
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["c_out"]),
            helper.make_node("Identity", ["x"], ["x_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("c", BOOL, []),
            helper.make_tensor_value_info("x", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("c_out", BOOL, []),
            helper.make_tensor_value_info("x_out", FLOAT, None),
        ],
    )
    inputs = [trips_name if limited else "", go_on, "raw"]
    behind_logits(model, [], helper.make_node("Loop", inputs, [""], body=body))


def branch(model: ModelProto, rng: random.Random) -> None:
    """An If, whose branches are alike."""
    add_branch(model, rng.random() < 0.5)


def add_branch(model: ModelProto, condition: bool) -> None:
    """An If over the logits that leaves them as they are."""
    _constant(model, "condition", np.array(condition))
    graph = helper.make_graph(
        [helper.make_node("Identity", ["raw"], ["chosen"])],
        "branch",
        [],
        [helper.make_tensor_value_info("chosen", FLOAT, None)],
    )
    node = helper.make_node("If", ["condition"], [""], then_branch=graph, else_branch=graph)
    behind_logits(model, [], node)


def scan(model: ModelProto, rng: random.Random) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [helper.make_tensor_value_info("x", FLOAT, None)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
    )
    count = rng.choice((1, 0, 2**62))
    node = helper.make_node("Scan", ["raw"], [""], body=body, num_scan_inputs=count)
    behind_logits(model, [], node)


def foreign(model: ModelProto, rng: random.Random) -> None:
    """An operator of another domain, known to the runtime or not."""
    domain = rng.choice(("com.microsoft", "evil.example", "ai.onnx.ml", "makemore"))
    op = rng.choice(("Gelu", "Evil", "TransformerStep", "FusedMatMul", "Tokenizer", "QuickGelu"))
    node = helper.make_node(op, ["raw"], [""], domain=domain)
    if rng.random() < 0.7:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    behind_logits(model, [], node)


def deep_graphs(model: ModelProto, rng: random.Random) -> None:
    """Graphs inside graphs, as deep as protobuf's own limit lets them be."""
    node = helper.make_node("Identity", ["raw"], ["x"])
    for _ in range(rng.choice((3, 20, 29))):
        graph = helper.make_graph([node], "g", [], [])
        node = helper.make_node("If", ["condition"], ["x"], then_branch=graph)
    behind_logits(model, [], node)


def long_chain(model: ModelProto, rng: random.Random) -> None:
    """Very many nodes."""
    value, nodes = "raw", []
    for i in range(rng.choice((10, 1000, 20_000))):
        nodes.append(helper.make_node("Relu", [value], [f"chain_{i}"]))
        value = f"chain_{i}"
    behind_logits(model, nodes, helper.make_node("Identity", [value], [""]))


def random_logits(model: ModelProto, rng: random.Random) -> None:
    """Logits that hang on nothing, or of another shape than they are declared."""
    shape = rng.choice(([4], [1, 4], [2, 3], [0, 4], [1, 1, 4], [numbers_pool.integer(rng)]))
    node = helper.make_node(
        rng.choice(("RandomNormal", "RandomUniform")), [], [""], shape=shape, dtype=FLOAT
    )
    behind_logits(model, [], node)


MUTATIONS: tuple[Callable[[ModelProto, random.Random], None], ...] = (
    huge_constant,
    huge_tensor,
    doubling,
    loop,
    branch,
    scan,
    foreign,
    deep_graphs,
    long_chain,
    random_logits,
)
