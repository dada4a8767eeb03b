"""Mutations of the graph: its nodes, attributes, declared shapes, names and functions."""

from __future__ import annotations

import random
from collections.abc import Callable

import numbers_pool
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

OPS = (
    "Identity",
    "Gather",
    "GatherND",
    "GatherElements",
    "ScatterND",
    "MatMul",
    "Gemm",
    "Add",
    "Mul",
    "Div",
    "Mod",
    "Pow",
    "Reshape",
    "Expand",
    "Tile",
    "Range",
    "Slice",
    "Split",
    "Concat",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Where",
    "Softmax",
    "LayerNormalization",
    "ReduceSum",
    "CumSum",
    "TopK",
    "OneHot",
    "NonZero",
    "Pad",
    "Resize",
    "EyeLike",
    "ConstantOfShape",
    "RandomNormal",
    "Loop",
    "If",
    "Scan",
    "Optional",
    "SequenceEmpty",
    "StringNormalizer",
    "Gru",
    "LSTM",
    "GroupQueryAttention",
    "TransformerStep",
    "NoSuchOp",
)
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "makemore", "evil.example", "x" * 300)


def nodes_of(model: ModelProto) -> list[NodeProto]:
    """The nodes of the graph and of the functions."""
    return [*model.graph.node, *(node for each in model.functions for node in each.node)]


def _node(model: ModelProto, rng: random.Random) -> NodeProto:
    return rng.choice(nodes_of(model))


def _lists(model: ModelProto) -> list:
    return [model.graph.node, *(each.node for each in model.functions)]


def set_dimension(model: ModelProto, rng: random.Random) -> None:
    """One dimension of one declared shape."""
    infos = [*model.graph.input, *model.graph.output]
    dims = [dim for info in infos for dim in info.type.tensor_type.shape.dim]
    dim = rng.choice(dims)
    if rng.random() < 0.2:
        dim.dim_param = rng.choice(("B", "batch", "N", "", "x" * 1000))
    else:
        dim.dim_value = numbers_pool.integer(rng)


def change_rank(model: ModelProto, rng: random.Random) -> None:
    info = rng.choice([*model.graph.input, *model.graph.output])
    shape = info.type.tensor_type.shape
    if rng.random() < 0.4 and shape.dim:
        del shape.dim[rng.randrange(len(shape.dim))]
    elif rng.random() < 0.5:
        info.type.tensor_type.ClearField("shape")
    else:
        for _ in range(rng.choice((1, 2, 70))):
            shape.dim.add().dim_value = numbers_pool.integer(rng)


def set_type(model: ModelProto, rng: random.Random) -> None:
    info = rng.choice([*model.graph.input, *model.graph.output])
    if rng.random() < 0.2:
        info.type.sequence_type.elem_type.tensor_type.elem_type = TensorProto.FLOAT
    else:
        info.type.tensor_type.elem_type = rng.choice((*range(23), -1, 1000))


def change_values(model: ModelProto, rng: random.Random) -> None:
    """An input or output is lost, repeated or moved."""
    values = rng.choice((model.graph.input, model.graph.output))
    _change_list(values, rng)


def _change_list(values: list, rng: random.Random) -> None:
    at = rng.randrange(len(values))
    change = rng.randrange(3)
    if change == 0:
        del values[at]
    elif change == 1:
        values.add().CopyFrom(values[at])
    else:
        other = rng.randrange(len(values))
        first, second = type(values[at])(), type(values[at])()
        first.CopyFrom(values[at])
        second.CopyFrom(values[other])
        values[at].CopyFrom(second)
        values[other].CopyFrom(first)


def change_nodes(model: ModelProto, rng: random.Random) -> None:
    """A node is lost, repeated or moved."""
    _change_list(rng.choice([nodes for nodes in _lists(model) if nodes]), rng)


def change_op(model: ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    node.op_type = rng.choice(OPS)
    if rng.random() < 0.3:
        node.domain = rng.choice(DOMAINS)


def change_domain(model: ModelProto, rng: random.Random) -> None:
    if rng.random() < 0.5:
        _node(model, rng).domain = rng.choice(DOMAINS)
        return
    opset = rng.choice(model.opset_import)
    opset.domain = rng.choice((opset.domain, *DOMAINS))
    opset.version = rng.choice((opset.version, numbers_pool.integer(rng)))
    if rng.random() < 0.3:
        model.ir_version = numbers_pool.integer(rng)


def change_edge(model: ModelProto, rng: random.Random) -> None:
    """A node reads or writes another value, or one that is not there."""
    names = [name for node in nodes_of(model) for name in (*node.input, *node.output)]
    names += [value.name for value in (*model.graph.input, *model.graph.initializer)]
    node = _node(model, rng)
    edges = rng.choice([edges for edges in (node.input, node.output) if edges])
    change = rng.randrange(4)
    if change == 0:
        edges[rng.randrange(len(edges))] = rng.choice(names)
    elif change == 1:
        edges.append(rng.choice(names))
    elif change == 2:
        del edges[rng.randrange(len(edges))]
    else:
        edges[rng.randrange(len(edges))] = rng.choice(("", "missing", numbers_pool.text(rng)))


def rename_value(model: ModelProto, rng: random.Random) -> None:
    """Everywhere in the graph, so that the graph still holds together."""
    values = [*model.graph.input, *model.graph.output, *model.graph.initializer]
    old, new = rng.choice(values).name, numbers_pool.text(rng)
    for value in values:
        if value.name == old:
            value.name = new
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def change_attribute(model: ModelProto, rng: random.Random) -> None:
    attributes = [attribute for node in nodes_of(model) for attribute in node.attribute]
    if not attributes or rng.random() < 0.1:
        name = rng.choice(("n_head", "epsilon", "axis", "to", "value", "batch_dims"))
        _node(model, rng).attribute.append(helper.make_attribute(name, numbers_pool.integer(rng)))
        return
    ours = [attribute for attribute in attributes if attribute.name in ("n_head", "epsilon")]
    attribute = rng.choice(ours if ours and rng.random() < 0.4 else attributes)
    _set_attribute(attribute, rng)


def _set_attribute(attribute: AttributeProto, rng: random.Random) -> None:
    change = rng.randrange(8)
    if change == 0:
        attribute.name = numbers_pool.text(rng)
    elif change == 1:
        attribute.type = rng.randrange(15)
    elif attribute.type == AttributeProto.INT:
        attribute.i = numbers_pool.integer(rng)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = numbers_pool.real(rng)
    elif attribute.type == AttributeProto.INTS and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = numbers_pool.integer(rng)
    elif attribute.type == AttributeProto.STRING:
        attribute.s = numbers_pool.text(rng).encode()
    else:
        attribute.ints.extend(numbers_pool.integer(rng) for _ in range(3))
        attribute.type = AttributeProto.INTS


def change_function(model: ModelProto, rng: random.Random) -> None:
    """The contract of a function, against the node that calls it."""
    function = rng.choice(model.functions)
    change = rng.randrange(5)
    if change == 0:
        names = rng.choice((function.input, function.output))
        del names[rng.randrange(len(names))]
    elif change == 1:
        function.name = rng.choice(("TransformerStep", "Gather", "Other", ""))
    elif change == 2:
        call = helper.make_node(function.name, function.input, function.output)
        call.domain = function.domain
        function.node.append(call)  # a function that calls itself
    elif change == 3:
        model.functions.add().CopyFrom(function)
    else:
        function.domain = rng.choice(DOMAINS)


def drop_function(model: ModelProto, rng: random.Random) -> None:
    del model.functions[rng.randrange(len(model.functions))]


def change_props(model: ModelProto, rng: random.Random) -> None:
    """The metadata's entry itself: lost, twice, under another key, or huge."""
    props = model.metadata_props
    change = rng.randrange(5)
    if change == 0:
        props[0].key = rng.choice(("", "Makemore", "makemore.json"))
    elif change == 1:
        props.add().CopyFrom(props[0])
    elif change == 2:
        props.add(key=numbers_pool.text(rng), value=numbers_pool.text(rng))
    elif change == 3:
        props[0].value += " " * rng.choice((10, 5_000_000))
    else:
        model.ClearField("metadata_props")


def long_names(model: ModelProto, rng: random.Random) -> None:
    name = rng.choice(("n" * 200_000, "\u001b[2J", "/" * 3000))
    if rng.random() < 0.5:
        model.graph.name = model.producer_name = model.doc_string = name
    else:
        _node(model, rng).name = name


def copy_value(info: ValueInfoProto, name: str) -> ValueInfoProto:
    copied = onnx.ValueInfoProto()
    copied.CopyFrom(info)
    copied.name = name
    return copied


MUTATIONS: tuple[Callable[[ModelProto, random.Random], None], ...] = (
    set_dimension,
    set_dimension,
    change_rank,
    set_type,
    change_values,
    change_nodes,
    change_op,
    change_domain,
    change_edge,
    rename_value,
    change_attribute,
    change_attribute,
    change_function,
    drop_function,
    change_props,
    long_names,
)
