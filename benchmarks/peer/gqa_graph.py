"""A transformer as a decoder graph of the form that onnxruntime's own model builder writes.

Its builder knows no GPT-2, so the graph is made here: GroupQueryAttention with a cache shared
between steps, all in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from makemore_export.models.transformer import Transformer
from onnx import TensorProto, helper, numpy_helper

from peer import STOP

INPUTS = ("input_ids", "attention_mask", "position_ids")
"""Of a decoder of prompts."""


def _value(name: str, shape: list[str | int], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


class Graph:
    """Nodes and weights of a decoder, under construction."""

    def __init__(self, model: Transformer) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self.model = model
        for name, weight in model.state_dict().items():
            self.weights[name] = weight.numpy().T.copy() if ".weight" in name else weight.numpy()
        table = model.token_embedding.weight.detach().numpy()
        # The start is a token of its own, the last one: a stop in a prompt would count as padding.
        self.weights["tokens"] = np.concatenate([table, table[STOP : STOP + 1]])
        self.weights["positions"] = model.position_embedding.weight.detach().numpy()

    def add(self, op: str, inputs: Sequence[str], name: str, **more: object) -> str:
        """Adds a node; `name` is that of its output, and returned."""
        self.nodes.append(helper.make_node(op, inputs, [name], **more))
        return name

    def constant(self, name: str, value: Sequence[int] | int) -> str:
        self.weights[name] = np.array(value, np.int64)
        return name

    def norm(self, name: str, x: str) -> str:
        inputs = [x, f"{name}.weight", f"{name}.bias"]
        return self.add("LayerNormalization", inputs, f"{name}.y", epsilon=self.model.ln.eps)

    def linear(self, name: str, x: str) -> str:
        product = self.add("MatMul", [x, f"{name}.weight"], f"{name}.xw")
        return self.add("Add", [product, f"{name}.bias"], f"{name}.y")

    def block(self, layer: int, x: str) -> str:
        name, heads = f"blocks.{layer}", self.model.config.n_head
        qkv = self.linear(f"{name}.attention", self.norm(f"{name}.ln_1", x))
        parts = [f"{name}.query", f"{name}.key", f"{name}.value"]
        self.nodes.append(helper.make_node("Split", [qkv], parts, axis=2, num_outputs=3))
        past = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        self.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [*parts, *past, "seqlens_k", "total_length"],
                [f"{name}.y", f"present.{layer}.key", f"present.{layer}.value"],
                domain="com.microsoft",
                num_heads=heads,
                kv_num_heads=heads,
            )
        )
        x = self.add("Add", [x, self.linear(f"{name}.projection", f"{name}.y")], f"{name}.x")
        hidden = self.linear(f"{name}.mlp_up", self.norm(f"{name}.ln_2", x))
        hidden = self.add("Gelu", [hidden], f"{name}.gelu", approximate="tanh")
        return self.add("Add", [x, self.linear(f"{name}.mlp_down", hidden)], f"{name}.out")

    def prompts(self) -> onnx.ModelProto:
        """From prompts, as onnxruntime-genai runs it: rows of a batch are at one position."""
        ones = self.constant("ones", [1])
        lengths = self.add("ReduceSum", ["attention_mask", ones], "lengths", keepdims=0)
        last = self.add("Sub", [lengths, ones], "last")
        self.add("Cast", [last], "seqlens_k", to=TensorProto.INT32)
        shape = self.add("Shape", ["attention_mask"], "mask_shape")
        total = self.add("Gather", [shape, self.constant("one", 1)], "total")
        self.add("Cast", [total], "total_length", to=TensorProto.INT32)
        self.layers("logits")
        inputs = [_value(name, ["batch", "length"], TensorProto.INT64) for name in INPUTS]
        return self.model_proto(inputs, ["batch", "length"], "time")

    def rows(self) -> onnx.ModelProto:
        """One step of rows that are each at their own position, as an artifact's step has it."""
        self.weights["total_length"] = np.array(self.model.config.block_size, np.int32)
        self.add("Cast", ["position"], "seqlens_k", to=TensorProto.INT32)
        column = self.constant("column", [1])
        self.add("Unsqueeze", ["token", column], "input_ids")
        self.add("Unsqueeze", ["position", column], "position_ids")
        self.add("Squeeze", [self.layers("logits_column"), column], "logits")
        inputs = [_value(name, ["batch"], TensorProto.INT64) for name in ("token", "position")]
        return self.model_proto(inputs, ["batch"], self.model.config.block_size)

    def layers(self, logits: str) -> str:
        """From `input_ids` and `position_ids`, both (B, T), to logits (B, T, V)."""
        token = self.add("Gather", ["tokens", "input_ids"], "token_x")
        x = self.add("Add", [token, self.add("Gather", ["positions", "position_ids"], "at")], "x")
        for layer in range(self.model.config.n_layer):
            x = self.block(layer, x)
        return self.add("MatMul", [self.norm("ln", x), "head.weight"], logits)

    def model_proto(
        self, inputs: list[onnx.ValueInfoProto], rows: list[str], slots: str | int
    ) -> onnx.ModelProto:
        """The graph, with caches of so many slots beside its `inputs` and logits (*rows, V)."""
        config = self.model.config
        cache = ["batch", config.n_head, slots, config.n_embd // config.n_head]
        kinds = [(i, kind) for i in range(config.n_layer) for kind in ("key", "value")]
        return helper.make_model(
            helper.make_graph(
                self.nodes,
                "decoder",
                inputs + [_value(f"past_key_values.{i}.{kind}", cache) for i, kind in kinds],
                [_value("logits", [*rows, len(self.weights["tokens"]) - 1])]
                + [_value(f"present.{i}.{kind}", cache) for i, kind in kinds],
                [
                    numpy_helper.from_array(weight, name)
                    for name, weight in self.weights.items()
                    if not name.endswith("embedding.weight")
                ],
            ),
            opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)],
            ir_version=10,
        )
