"""Steps as ONNX functions, which kernels may stand for."""

from __future__ import annotations

import makemore
import numpy as np
import onnx
import pytest
import torch
from family_artifacts import random_model
from fused_artifact import random_transformer
from makemore import _core
from makemore.runtime.onnxruntime_library import open_library
from makemore_export.models.bigram import Bigram
from makemore_export.models.transformer import ACTIVATIONS, Transformer, TransformerConfig
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.onnx_export import to_onnx
from makemore_export.packing.step_module import StepModule
from small_runs import trained
from tiny_artifacts import metadata

TOLERANCE = 1e-5
"""Largest difference of two logits, as a share of the largest."""

POSITIONS = 9
RECURRENT = ("rnn", "lstm", "gru")
LSTM = {"model": "lstm", "config": {"n_hidden": 37, "n_embd": 5}}
TRANSFORMER = {
    "model": "transformer",
    "config": {"block_size": POSITIONS, "n_layer": 2, "n_embd": 20, "n_head": 2},
}


def exported(model, file):
    states = model.states()
    file.write_bytes(to_onnx(StepModule(model), metadata(("a",), states=states)))
    return file


def difference(model, file, kernel, rows=3, time_axes=None):
    """Of a step from PyTorch's forward, at every position, as a share of the largest logit."""
    opened = _core.OnnxModel(open_library(), file, kernel=kernel)
    assert opened.kernel == kernel
    step = _core.cpu_step(opened, time_axes or [0] * len(opened.states))
    step.reset(rows)
    rng = np.random.default_rng(0)
    tokens = rng.integers(opened.vocab_size, size=(rows, model.block_size))
    with torch.inference_mode():
        expected = model(torch.from_numpy(tokens)).numpy()  # (B, T, V)
    logits = [
        step.run(tokens[:, position].copy(), np.full(rows, position))
        for position in range(model.block_size)
    ]
    return np.abs(np.stack(logits, 1) - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize(
    ("config", "vocab_size"),
    [
        (TransformerConfig(block_size=9, n_layer=1, n_embd=20, n_head=2), 300),
        (TransformerConfig(block_size=33, n_layer=3, n_embd=96, n_head=3), 27),
        (TransformerConfig(block_size=9, n_embd=20, n_head=2, mlp_width=7, head_bias=True), 30),
        (TransformerConfig(block_size=9, n_embd=20, n_head=2, mlp_width=133, epsilon=1e-3), 30),
        *(
            (TransformerConfig(block_size=9, n_embd=20, n_head=2, activation=name), 30)
            for name in ACTIVATIONS
        ),
    ],
)
def test_kernels_and_nodes_give_the_logits_of_pytorch(config, vocab_size, tmp_path):
    model = random_transformer(config, vocab_size)
    file = exported(model, tmp_path / "model.onnx")
    for kernel in ("", *_core.kernels()):
        assert difference(model, file, kernel) < TOLERANCE


def test_weights_of_equal_values_and_biases_of_zeros_are_inputs_like_all(tmp_path):
    model = Transformer(TransformerConfig(block_size=4, n_layer=2, n_embd=8, n_head=2), 3).eval()
    file = exported(model, tmp_path / "model.onnx")
    node = onnx.load(file).graph.node[0]
    assert len(node.input) == 2 + 4 + len(list(model.parameters()))
    for kernel in ("", *_core.kernels()):
        assert difference(model, file, kernel) < TOLERANCE


def test_a_transformer_is_one_node_of_a_function_and_weights_lie_outside(tmp_path):
    export(trained(tmp_path / "run", "transformer"), tmp_path / "artifact")
    model = onnx.load(tmp_path / "artifact" / "model.onnx")
    (node,), (function,) = model.graph.node, model.functions
    assert (node.domain, node.op_type) == (function.domain, function.name)
    assert (function.domain, function.name) == ("makemore", "TransformerStep")
    assert list(node.input) == list(function.input)
    assert len(function.SerializeToString()) < 20_000
    assert makemore.load(tmp_path / "artifact").sample(1)


WIDE = 300  # tokens: too many for tables of what a layer reads of each


@pytest.mark.parametrize(
    ("name", "config", "vocab_size"),
    [
        *((name, {"n_hidden": 37, "n_embd": 5, "n_layer": 3}, 27) for name in RECURRENT),
        *((name, {"n_hidden": 133, "n_embd": 9}, WIDE) for name in RECURRENT),
        ("mlp", {"n_hidden": 50, "n_embd": 7}, 27),
        ("mlp", {"n_hidden": 50, "n_embd": 7, "context": 2}, WIDE),
        ("mlp", {"n_hidden": 50, "n_embd": 7, "direct": True}, 27),
        ("cnn", {"n_hidden": 50, "n_embd": 7, "n_layer": 1}, 27),
        ("cnn", {"n_hidden": 50, "n_embd": 16, "n_layer": 5}, 27),
        ("bow", {"n_hidden": 50, "n_embd": 7, "block_size": POSITIONS}, 27),
        ("neural-bigram", {}, 27),
        ("blend", {"parts": [LSTM, {"model": "ngram", "config": {"order": 4}}]}, 27),
        ("blend", {"parts": [LSTM, TRANSFORMER, LSTM]}, 27),
    ],
)
def test_kernels_and_nodes_of_the_family_give_the_logits_of_pytorch(
    name, config, vocab_size, tmp_path
):
    model = random_model(name, config, vocab_size)
    model.block_size = POSITIONS  # as many are compared
    file = exported(model, tmp_path / "model.onnx")
    for kernel in ("", *_core.kernels()):
        assert difference(model, file, kernel, time_axes=[s.time_axis for s in model.states()]) < (
            TOLERANCE
        )


def test_a_blend_is_a_call_for_each_component_and_their_mixture(tmp_path):
    small = {"model": "lstm", "config": {"n_hidden": 8, "n_layer": 2}}
    model = random_model("blend", {"parts": [LSTM, LSTM, small]}, 27)
    graph = onnx.load(exported(model, tmp_path / "model.onnx"))
    called = [(node.domain, node.op_type) for node in graph.graph.node]
    names = ["LstmStep", "LstmStep", "LstmStep_2", "Mixture"]
    assert called == [("makemore", name) for name in names]
    assert [function.name for function in graph.functions] == ["LstmStep", "LstmStep_2", "Mixture"]
    weights = sum(len(weight.raw_data) for weight in graph.graph.initializer)
    assert len(graph.SerializeToString()) < weights + 20_000  # none is there twice


def test_a_blend_with_a_component_without_a_function_is_plain_nodes(tmp_path, monkeypatch):
    model = random_model("blend", {"parts": [LSTM, {"model": "bigram", "config": {}}]}, 27)
    monkeypatch.setattr(Bigram, "step_function", lambda self: None)
    file = exported(model, tmp_path / "model.onnx")
    assert not onnx.load(file).functions
    assert _core.OnnxModel(open_library(), file).kernel == ""
