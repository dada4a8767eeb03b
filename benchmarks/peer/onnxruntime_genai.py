"""onnxruntime-genai, on a decoder graph of the form that its model builder writes.

Its builder knows no GPT-2, so the graph is made here: GroupQueryAttention with a cache shared
between steps, all in float32.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime_genai as og
from makemore_export.models.transformer import Transformer
from onnx import TensorProto, helper, numpy_helper

from peer import STOP, Peer, Source, batches


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

    def build(self) -> onnx.ModelProto:
        config = self.model.config
        ones = self.constant("ones", [1])
        lengths = self.add("ReduceSum", ["attention_mask", ones], "lengths", keepdims=0)
        last = self.add("Sub", [lengths, ones], "last")
        self.add("Cast", [last], "seqlens_k", to=TensorProto.INT32)
        shape = self.add("Shape", ["attention_mask"], "mask_shape")
        total = self.add("Gather", [shape, self.constant("one", 1)], "total")
        self.add("Cast", [total], "total_length", to=TensorProto.INT32)
        token = self.add("Gather", ["tokens", "input_ids"], "token_x")
        x = self.add("Add", [token, self.add("Gather", ["positions", "position_ids"], "at")], "x")
        for layer in range(config.n_layer):
            x = self.block(layer, x)
        self.add("MatMul", [self.norm("ln", x), "head.weight"], "logits")
        cache = ["batch", config.n_head, "time", config.n_embd // config.n_head]
        kinds = [(i, kind) for i in range(config.n_layer) for kind in ("key", "value")]
        return helper.make_model(
            helper.make_graph(
                self.nodes,
                "decoder",
                [_value(name, ["batch", "length"], TensorProto.INT64) for name in INPUTS]
                + [_value(f"past_key_values.{i}.{kind}", cache) for i, kind in kinds],
                [_value("logits", ["batch", "length", len(self.weights["tokens"]) - 1])]
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


INPUTS = ("input_ids", "attention_mask", "position_ids")


def _value(name: str, shape: list[str | int], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def genai_config(model: Transformer) -> dict[str, object]:
    config = model.config
    vocab_size = model.token_embedding.num_embeddings
    past, present = "past_key_values.%d.{}", "present.%d.{}"
    decoder = {
        "session_options": {"intra_op_num_threads": 1, "inter_op_num_threads": 1},
        "filename": "model.onnx",
        "head_size": config.n_embd // config.n_head,
        "hidden_size": config.n_embd,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_head,
        "num_hidden_layers": config.n_layer,
        "inputs": {name: name for name in INPUTS}
        | {f"past_{kind}_names": past.format(kind) for kind in ("key", "value")},
        "outputs": {"logits": "logits"}
        | {f"present_{kind}_names": present.format(kind) for kind in ("key", "value")},
    }
    return {
        "model": {
            "type": "llama",  # any decoder of these inputs and outputs
            "decoder": decoder,
            "vocab_size": vocab_size,
            "context_length": config.block_size,
            "bos_token_id": vocab_size,
            "eos_token_id": STOP,
            "pad_token_id": STOP,
        },
        "search": {"past_present_share_buffer": True},
    }


class Genai(Peer):
    """A row that has stopped is padded until the last of its batch has; no logits of prompts."""

    largest_batch = 32  # its limit, since 0.18

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.start = len(self.letters)
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(Graph(source.transformer).build(), Path(folder) / "model.onnx")
            text = json.dumps(genai_config(source.transformer))
            (Path(folder) / "genai_config.json").write_text(text)
            self.model = og.Model(folder)

    def generate(self, n: int, batch_size: int, seed: int) -> list[list[int]]:
        made = []
        for number, rows in enumerate(batches(n, batch_size)):
            options = og.GeneratorParams(self.model)
            options.set_search_options(
                batch_size=rows,
                max_length=1 + self.max_length,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                random_seed=(seed + 1_000_003 * number) % 2**31,
            )
            generator = og.Generator(self.model, options)
            generator.append_tokens(np.full((rows, 1), self.start, np.int32))
            while not generator.is_done():
                generator.generate_next_token()
            made += [generator.get_sequence(row)[1:].tolist() for row in range(rows)]
        return made


def load(source: Source) -> Peer:
    return Genai(source)
