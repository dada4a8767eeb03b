"""Artifacts that once broke something, each built by a function: small, and wrong in one way.

A function returns the `ModelProto`; `write(model, folder)` makes the artifact of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bombs
import lies
import numpy as np
import onnx
import onnx.parser
from onnx import ModelProto, helper, numpy_helper

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
HEADER = '<ir_version: 8, opset_import: ["" : 18]>\n'
TABLE = np.log(np.array([[1, 4, 3, 2], [2, 3, 3, 2], [2, 5, 1, 2], [5, 2, 2, 1]], np.float32) / 10)

STATELESS = """step (int64[B] token, int64[B] position) => (float[B, 4] logits) {
  logits = Gather (table, token)
}"""
PASSED_THROUGH = """step (int64[B] token, int64[B] position, float[B, 1] state)
=> (float[B, 4] logits, float[B, 1] next_state) {
  logits = Gather (table, token)
  next_state = Identity (state)
}"""
NGRAM = """step (int64[B] token, int64[B] position, int64[B] context)
=> (float[B, 4] logits, int64[B] next_context) {
  four = Constant <value_int = 4> ()
  first = Mul (context, four)
  edge = Add (first, token)
  known = Gather (next, edge)
  logits = Gather (table, known)
  shorter = Gather (state, known)
  next_context = Cast <to = 7> (shorter)
}"""


def metadata(**fields: Any) -> dict[str, Any]:
    """The metadata of a model of the tokens a, b and c; `fields` replace or add to it."""
    data = {"name": "none", "sha256": "", "lines": 0, "blank": 0, "duplicates": 0, "split": {}}
    return {
        "schema": 2,
        "model": {"type": "tiny", "config": {}, "parameters": 0, "precision": "float32"},
        "level": "character",
        "tokens": ["a", "b", "c"],
        "block_size": None,
        "max_length": 20,
        "states": [],
        "training": {"data": data, "losses": {}, "steps": 0, "seed": 0},
        "versions": {},
        "golden": {"seed": 1, "strings": []},
        **fields,
    }


def parse(graph: str, weights: dict[str, np.ndarray], text: str) -> ModelProto:
    """A model from ONNX's textual syntax, with `text` as its metadata."""
    model = onnx.parser.parse_model(HEADER + graph)
    for name, value in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    helper.set_model_props(model, {lies.KEY: text})
    return model


def stateless(**fields: Any) -> ModelProto:
    """A bigram; `fields` change its metadata."""
    return parse(STATELESS, {"table": TABLE}, json.dumps(metadata(**fields)))


def ngram(next_context: int = 1) -> ModelProto:
    """A trigram whose contexts are the empty one and one for each last token.

    next_context: what its table gives for the first context and the first token.
    """
    next_table = np.tile(np.arange(1, 5, dtype=np.int32), 5)  # (5 contexts * 4 tokens,)
    next_table[0] = next_context
    weights = {
        "next": next_table,
        "table": np.vstack([TABLE[:1], TABLE]),
        "state": np.arange(5, dtype=np.int32),
    }
    states = [{"name": "context", "dtype": "int64", "shape": []}]
    return parse(NGRAM, weights, json.dumps(metadata(states=states)))


def ngram_wraps() -> ModelProto:
    """An n-gram whose table holds -1, which ONNX reads as the last row."""
    return ngram(next_context=-1)


def ngram_far() -> ModelProto:
    """An n-gram whose table holds an index past every row."""
    return ngram(next_context=2**31 - 1)


def fused() -> ModelProto:
    """The committed transformer, which the fused step runs: 5 tokens, 2 layers, a block of 8."""
    return onnx.load(ARTIFACTS / "fused" / "model.onnx")


def convolution(name: str, numbers: list[int] | int | str | None) -> ModelProto:
    """The committed convolution with another value of an attribute, or without it."""
    model = onnx.load(ARTIFACTS / "schema-3" / "convolution" / "model.onnx")
    (node,) = (node for node in model.graph.node if node.op_type == "Conv")
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
    if numbers is not None:
        node.attribute.append(onnx.helper.make_attribute(name, numbers))
    return model


def convolution_bias(shape: list[int], *, computed: bool = False) -> ModelProto:
    """The committed convolution with a kernel of 8 outputs and a bias of that shape."""
    model = onnx.load(ARTIFACTS / "schema-3" / "convolution" / "model.onnx")
    (node,) = (node for node in model.graph.node if node.op_type == "Conv")
    bias = numpy_helper.from_array(np.zeros(shape, np.float32), "short")
    model.graph.initializer.append(bias)
    if computed:
        at = list(model.graph.node).index(node)
        model.graph.node.insert(at, helper.make_node("Abs", ["short"], ["computed"]))
    del node.input[2:]
    node.input.append("computed" if computed else "short")
    return model


def activation_number() -> ModelProto:
    """The committed transformer with a number in place of the activation's name."""
    model = onnx.load(ARTIFACTS / "schema-3" / "transformer" / "model.onnx")
    (attribute,) = (a for a in model.graph.node[0].attribute if a.name == "activation")
    attribute.CopyFrom(helper.make_attribute("activation", 1))
    return model


def overflow_write(rows: int = 4096) -> ModelProto:
    """A transformer with `rows` tokens in its weights that declares 2."""
    model = fused()
    lies.resize_rows(model, 5, rows)
    lies.declare_tokens(model, 2)
    return model


def fused_oob(declared: int = 2000) -> ModelProto:
    """A transformer with 5 tokens in its weights that declares more."""
    model = fused()
    lies.declare_tokens(model, declared)
    return model


def with_state(shape: list[int], time_axis: int | None, **fields: Any) -> ModelProto:
    """A bigram with a state that it passes through."""
    states = [{"name": "state", "dtype": "float32", "shape": shape, "time_axis": time_axis}]
    text = json.dumps(metadata(states=states, **fields))
    model = parse(PASSED_THROUGH, {"table": TABLE}, text)
    lies.declare_state(model, 0, shape)
    return model


def state_fpe() -> ModelProto:
    """A state whose product of sizes overflows to zero."""
    return with_state([2**32, 2**32, 16], 2, block_size=16, max_length=7)


def state_huge() -> ModelProto:
    """A state of four terabytes a row."""
    return with_state([2**40], None)


def const_4g() -> ModelProto:
    """A constant of 4 GB in a file of a kilobyte."""
    return _with_node(2**30)


def _with_node(size: int) -> ModelProto:
    model = stateless()
    shape = numpy_helper.from_array(np.array([size], np.int64), "shape")
    model.graph.initializer.append(shape)
    big = helper.make_node("ConstantOfShape", ["shape"], ["big"])
    total = helper.make_node("ReduceSum", ["big"], ["total"], keepdims=0)
    bombs.behind_logits(model, [big, total], helper.make_node("Add", ["raw", "total"], [""]))
    return model


def loop_forever() -> ModelProto:
    """A Loop of 2**62 trips."""
    model = stateless()
    bombs.add_loop(model, 2**62)
    return model


def branches() -> ModelProto:
    """An If."""
    model = stateless()
    bombs.add_branch(model, True)
    return model


def custom_domain() -> ModelProto:
    """An operator of a domain that no step has business with."""
    model = stateless()
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    node = helper.make_node("QuickGelu", ["raw"], [""], domain="com.microsoft")
    bombs.behind_logits(model, [], node)
    return model


def external_data(folder: Path) -> ModelProto:
    """A weight that lies in another file of the artifact's own folder."""
    model = stateless()
    (folder / "table.bin").write_bytes(TABLE.tobytes())
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="table.bin")
    return model


def neverstop(max_length: int = 2**62) -> ModelProto:
    """A bigram that never stops, and whose longest string is of 2**62 tokens."""
    model = stateless(max_length=max_length)
    table = np.zeros((4, 4), np.float32)
    table[:, 0] = -np.inf
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(table, "table"))
    return model


def escapes() -> ModelProto:
    """Text that moves a terminal's cursor, sets its title, its clipboard, and forges lines."""
    fields = metadata()
    fields["model"] |= {"type": "\x1b[31mEVIL\x1b[0m"}
    fields["model"]["config"] = {"\x1b[1m": "\x1b]52;c;ZXZpbA==\x07"}
    fields["training"]["data"]["name"] = "a\nfake-key  fake"
    fields["versions"] = {"x\x1b]0;pwn\x07": "\x1b[2J\x1b[31mred"}
    fields["tokens"] = ["a", "\x1b", "\u202e"]
    return stateless(**fields)


def config_deep(depth: int = 900) -> ModelProto:
    """A configuration of that many levels."""
    model = stateless()
    deep = '{"a":' * depth + "1" + "}" * depth
    text = json.dumps(metadata()).replace('"config": {}', f'"config": {deep}')
    helper.set_model_props(model, {lies.KEY: text})
    return model


def golden_neg() -> ModelProto:
    """A golden seed below zero."""
    return stateless(golden={"seed": -1, "strings": ["a"]})


def write(model: ModelProto, folder: Path) -> Path:
    """Writes the artifact, and returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder


CASES = {
    "overflow_write": overflow_write,
    "overflow_write_few": lambda: overflow_write(5),
    "fused_oob": fused_oob,
    "state_fpe": state_fpe,
    "state_huge": state_huge,
    "const_4g": const_4g,
    "loop_forever": loop_forever,
    "branches": branches,
    "custom_domain": custom_domain,
    "neverstop": neverstop,
    "neverstop_million": lambda: neverstop(10**6),
    "escapes": escapes,
    "config_deep": config_deep,
    "config_deeper": lambda: config_deep(100_000),
    "golden_neg": golden_neg,
    "ngram_wraps": ngram_wraps,
    "ngram_far": ngram_far,
    "activation_number": activation_number,
    "conv_no_kernel": lambda: convolution("kernel_shape", None),
    "conv_stride_0": lambda: convolution("strides", [0]),
    "conv_dilation_negative": lambda: convolution("dilations", [-1]),
    "conv_few_strides": lambda: convolution("kernel_shape", [3, 3]),
    "conv_few_pads": lambda: convolution("pads", [2]),
    "conv_pads_huge": lambda: convolution("pads", [2**62, 0]),
    "conv_group_0": lambda: convolution("group", 0),
    "conv_bias_short": lambda: convolution_bias([1]),
    "conv_bias_long": lambda: convolution_bias([9]),
    "conv_bias_matrix": lambda: convolution_bias([8, 1]),
    "conv_bias_computed": lambda: convolution_bias([8], computed=True),
    "conv_kernel_flat": lambda: convolution("kernel_shape", [3, 1]),
    "conv_auto_pad": lambda: convolution("auto_pad", "SAME_UPPER"),
}
"""All but `external_data`, which is of two files."""
