"""The transformer's step as one ONNX function, which kernels may stand for."""

from __future__ import annotations

import makemore
import numpy as np
import onnx
import pytest
import torch
from fused_artifact import random_transformer
from makemore import _core
from makemore.runtime.onnxruntime_library import open_library
from makemore_export.models.transformer import ACTIVATIONS, Transformer, TransformerConfig
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.onnx_export import to_onnx
from makemore_export.packing.step_module import StepModule
from small_runs import trained
from tiny_artifacts import metadata

TOLERANCE = 1e-5
"""Largest difference of two logits, as a share of the largest."""


def exported(model, file):
    states = model.states()
    file.write_bytes(to_onnx(StepModule(model), metadata(("a",), states=states)))
    return file


def difference(model, file, kernel, rows=3):
    """Of a step from PyTorch's forward, at every position, as a share of the largest logit."""
    opened = _core.OnnxModel(open_library(), file, kernel=kernel)
    assert opened.kernel == kernel
    step = _core.cpu_step(opened, [0] * len(opened.states))
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
