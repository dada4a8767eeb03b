"""The transformer's kernels in place of the function that a file carries as standard nodes."""

from __future__ import annotations

from functools import partial

import makemore
import numpy as np
import onnx
import onnxruntime
import pytest
from makemore import _core
from makemore.errors import OptionError
from makemore.runtime.onnxruntime_library import open_library
from onnx import helper
from tiny_artifacts import FOLDER

FILE = FOLDER / "fused" / "model.onnx"
BLOCK, VOCAB = 8, 5
TOLERANCE = 1e-5
"""Largest difference of two logits, both sums in float32, as a share of the largest logit."""


@pytest.fixture(params=_core.kernels())
def kernel(request):
    return request.param


def open_step(kernel, file=FILE, time_axis=0):
    model = _core.OnnxModel(open_library(), file, kernel=kernel)
    return model, _core.cpu_step(model, [time_axis] * len(model.states))


def logits_of(step, rows):
    """(positions, rows, V) for rows that begin one after the other."""
    rng = np.random.default_rng(1)
    step.reset(rows)
    logits = []
    for turn in range(BLOCK + 2):
        positions = np.clip(turn - np.arange(rows) % 3, 0, BLOCK - 1)
        logits.append(step.run(rng.integers(VOCAB, size=rows), positions))
    return np.array(logits)


def sampler_of(monkeypatch, kernel):
    with monkeypatch.context() as patch:
        patch.setattr(_core, "OnnxModel", partial(_core.OnnxModel, kernel=kernel))
        return makemore.load(FILE, threads=1)


def test_a_model_tells_which_kernel_runs_it(kernel):
    assert open_step(kernel)[0].kernel == kernel
    assert open_step(None)[0].kernel == _core.kernels()[0]
    assert open_step("")[0].kernel == ""
    assert _core.OnnxModel(open_library(), FOLDER / "cache" / "model.onnx").kernel == ""


def test_a_kernel_that_the_machine_does_not_have_is_refused():
    with pytest.raises(OptionError, match="this machine has no kernel x86-64-v9"):
        open_step("x86-64-v9")


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64])
def test_a_kernel_gives_the_logits_of_the_function_s_body(kernel, rows):
    body = logits_of(open_step("")[1], rows)
    np.testing.assert_allclose(
        logits_of(open_step(kernel)[1], rows), body, rtol=0, atol=TOLERANCE * np.abs(body).max()
    )


def test_states_are_copied_where_they_are_not_written_in_place(kernel):
    in_place, copied = (open_step(kernel, time_axis=axis)[1] for axis in (0, None))
    np.testing.assert_array_equal(logits_of(in_place, 7), logits_of(copied, 7))


def test_a_kernel_gives_the_samples_of_the_body_but_at_the_edges_of_the_cdf(kernel, monkeypatch):
    fused, body = sampler_of(monkeypatch, kernel), sampler_of(monkeypatch, "")
    made, wanted = (sampler.sample_ids(10_000, seed=3) for sampler in (fused, body))
    step = body.new_step()
    for one, other in zip(made, wanted, strict=True):
        if one.text != other.text:
            assert distance_to_edge(step, one, other) < 1e-5


def distance_to_edge(step, one, other):
    """Of the coin that two samples of a row took differently, to the nearest edge of the CDF."""
    ids = [[*sample.ids.tolist(), 0] for sample in (one, other)]
    position = next(i for i, (a, b) in enumerate(zip(*ids, strict=False)) if a != b)
    step.reset(1)
    for i, token in enumerate([0, *ids[0][:position]]):
        logits = step.run(np.array([token]), np.array([i]))[0].astype(float)
    cdf = np.cumsum(np.exp(logits - logits.max()))
    return np.abs(cdf / cdf[-1] - _core.coin(one.seed, one.row, position)).min()


def test_the_kernel_refuses_a_token_or_a_position_as_the_body_does(kernel):
    for name in (kernel, ""):
        step = open_step(name)[1]
        step.reset(1)
        with pytest.raises((OptionError, makemore.OrtError)):
            step.run(np.array([VOCAB]), np.array([0]))
        with pytest.raises((OptionError, makemore.OrtError)):
            step.run(np.array([0]), np.array([BLOCK]))


def test_a_step_that_is_refused_leaves_all_rows_as_they_are(kernel):
    _, step = open_step(kernel)
    logits = []
    for refused in (False, True):
        step.reset(2)
        step.run(np.array([0, 0]), np.array([0, 0]))
        step.run(np.array([1, 2]), np.array([1, 1]))
        if refused:
            with pytest.raises(OptionError, match="a row of 2 steps was given position 5"):
                step.run(np.array([1, 1]), np.array([0, 5]))
        logits.append(step.run(np.array([3, 3]), np.array([2, 2])))
    assert (logits[0] == logits[1]).all()


def test_a_function_that_the_kernel_cannot_stand_for_runs_as_its_body(kernel, tmp_path):
    model = onnx.load(FILE)
    heads = next(a for a in model.graph.node[0].attribute if a.name == "n_head")
    heads.i = 3  # of 16 columns
    onnx.save(model, tmp_path / "model.onnx")
    opened, step = open_step(kernel, tmp_path / "model.onnx")
    assert opened.kernel == ""
    np.testing.assert_array_equal(logits_of(step, 3), logits_of(open_step("")[1], 3))


def test_a_function_whose_head_bias_is_computed_runs_as_its_body(kernel, tmp_path):
    model = onnx.load(FOLDER / "schema-3" / "transformer" / "model.onnx")
    call = model.graph.node[0]
    name = call.input[-1]
    assert name.endswith("head.bias")
    bias = helper.make_node("Abs", [name], ["computed"])
    call.input[-1] = "computed"
    model.graph.node.insert(0, bias)
    onnx.save(model, tmp_path / "model.onnx")
    opened, step = open_step(kernel, tmp_path / "model.onnx")
    assert opened.kernel == ""
    np.testing.assert_array_equal(
        logits_of(step, 3), logits_of(open_step("", tmp_path / "model.onnx")[1], 3)
    )


def test_onnxruntime_alone_runs_the_file():
    session = onnxruntime.InferenceSession(FILE, providers=["CPUExecutionProvider"])
    states = {
        value.name: np.zeros((2, *value.shape[1:]), np.float32)
        for value in session.get_inputs()[2:]
    }
    tokens, position = np.array([0, 3]), np.array([0, 0])
    logits, *_ = session.run(None, {"token": tokens, "position": position, **states})
    step = open_step("")[1]
    step.reset(2)
    np.testing.assert_array_equal(logits, step.run(tokens, position))
