"""The family's kernels in place of the functions that files carry as standard nodes."""

from __future__ import annotations

import makemore
import numpy as np
import onnx
import onnxruntime
import pytest
from makemore import _core
from makemore.errors import ArtifactError, OptionError
from makemore.runtime.onnxruntime_library import open_library
from onnx import helper, numpy_helper
from tiny_artifacts import FOLDER

FAMILY = sorted((FOLDER / "family").glob("*/model.onnx"))
BLEND = FOLDER / "family" / "blend" / "model.onnx"
POSITIONS, VOCAB = 8, 5


def tolerance(file, kernel):
    """Largest difference of two logits as a share of the largest: both sums are in float32, but of
    a model in float16 ONNX Runtime may well calculate in that, and rounds what it keeps. With int8
    a kernel for VNNI rounds inputs to 16 bits.
    """
    if file.parent.name.startswith("half-"):
        return 5e-3
    return 1e-4 if file.parent.name.startswith("int8-") and kernel.endswith("vnni") else 1e-5


@pytest.fixture(params=_core.kernels())
def kernel(request):
    return request.param


@pytest.fixture(params=FAMILY, ids=lambda file: file.parent.name)
def file(request):
    return request.param


def open_model(kernel, file):
    return _core.OnnxModel(open_library(), file, kernel=kernel)


def open_step(kernel, file, block_size=None):
    model = open_model(kernel, file)
    return _core.cpu_step(model, [None] * len(model.states), block_size)


def some_tokens(rows):
    return np.random.default_rng(1).integers(VOCAB, size=(64, POSITIONS))[:rows]


def logits_of(step, tokens):
    """(rows, positions, V) of strings of tokens (rows, positions)."""
    step.reset(len(tokens))
    logits = [
        step.run(tokens[:, position].copy(), np.full(len(tokens), position)).copy()
        for position in range(tokens.shape[1])
    ]
    return np.stack(logits, 1)


def changed(file, tmp_path, change):
    model = onnx.load(file)
    change(model)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def weight_of(model, name):
    return next(weight for weight in model.graph.initializer if weight.name.endswith(name))


def put(weight, values):
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))


def test_a_model_tells_which_kernel_runs_it(kernel, file):
    assert open_model(kernel, file).kernel == kernel
    assert open_model(None, file).kernel == _core.kernels()[0]
    assert open_model("", file).kernel == ""


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64])
def test_a_kernel_gives_the_logits_of_the_functions_bodies(kernel, file, rows):
    tokens = some_tokens(rows)
    body = logits_of(open_step("", file), tokens)
    np.testing.assert_allclose(
        logits_of(open_step(kernel, file), tokens),
        body,
        rtol=0,
        atol=tolerance(file, kernel) * np.abs(body).max(),
    )


@pytest.mark.parametrize("model", ["int8-attention", "int8-blend", "int8-gru", "int8-lstm"])
def test_any_of_the_matrices_may_be_int8(kernel, model, tmp_path):
    file = FOLDER / "family" / model / "model.onnx"
    nodes = onnx.load(file).graph.node
    dequantized = [node.output[0] for node in nodes if node.op_type == "DequantizeLinear"]
    tokens = some_tokens(7)
    body = logits_of(open_step("", file), tokens)
    for name in dequantized:

        def in_float32(model, name=name):
            (node,) = (node for node in model.graph.node if node.output[0] == name)
            numbers, scales = (numpy_helper.to_array(weight_of(model, part)) for part in node.input)
            model.graph.node.remove(node)
            product = numbers.astype(np.float32) * scales[:, None]
            model.graph.initializer.append(numpy_helper.from_array(product, name))

        mixed = changed(file, tmp_path, in_float32)
        assert open_model(kernel, mixed).kernel == kernel
        found = logits_of(open_step(kernel, mixed), tokens)
        np.testing.assert_allclose(found, body, rtol=0, atol=1e-4 * np.abs(body).max())


def test_logits_do_not_depend_on_the_batch_nor_on_its_other_rows(kernel, file):
    step, tokens = open_step(kernel, file), some_tokens(64)
    together = logits_of(step, tokens)
    for rows in (slice(0, 1), slice(5, 7), slice(30, 41)):
        np.testing.assert_array_equal(logits_of(step, tokens[rows]), together[rows])
    np.testing.assert_array_equal(logits_of(step, tokens[::-1]), together[::-1])
    many = np.tile(tokens, (4, 1))
    np.testing.assert_array_equal(logits_of(step, many), np.tile(together, (4, 1, 1)))


def test_rows_that_are_selected_go_on_from_where_their_parents_were(kernel, file):
    step, tokens = open_step(kernel, file), some_tokens(3)
    expected = logits_of(step, tokens)
    logits_of(step, tokens[:, :4])
    parents = [0, 1, 2, 1, 0]
    step.select(np.array(parents))
    again = step.run(tokens[parents, 4], np.full(5, 4))
    np.testing.assert_array_equal(again, expected[parents, 4])


def test_samples_are_those_of_the_bodies(kernel, file, monkeypatch):
    def sampler(kernel):
        opened = _core.OnnxModel
        with monkeypatch.context() as patch:
            patch.setattr(
                _core, "OnnxModel", lambda *args, **options: opened(*args, kernel=kernel, **options)
            )
            return makemore.load(file, threads=1)

    fused, body = (sampler(name).sample(3000, seed=3) for name in (kernel, ""))
    limit = 0.05 if file.parent.name.startswith("half-") else 1e-3
    assert np.mean([a != b for a, b in zip(fused, body, strict=True)]) < limit


def test_a_token_or_a_position_that_is_not_known_is_refused(kernel, file):
    step = open_step(kernel, file, block_size=POSITIONS)
    step.reset(1)
    for token, position in ((VOCAB, 0), (-1, 0), (0, POSITIONS), (0, -1)):
        with pytest.raises(OptionError, match="must be >= 0 and below"):
            step.run(np.array([token]), np.array([position]))


def test_onnxruntime_alone_runs_the_file(file):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
    states = {
        value.name: np.zeros((2, *value.shape[1:]), types[value.type])
        for value in session.get_inputs()[2:]
    }
    tokens, position = np.array([0, 3]), np.array([0, 0])
    logits, *_ = session.run(None, {"token": tokens, "position": position, **states})
    step = open_step("", file)
    step.reset(2)
    limit = tolerance(file, "") if file.parent.name.startswith("half-") else 0
    np.testing.assert_allclose(logits, step.run(tokens, position), rtol=0, atol=limit)


@pytest.mark.parametrize(
    ("model", "weight"),
    [(name, "model.table") for name in ("gru", "lstm", "rnn")] + [("mlp", "model.tables")],
)
def test_what_is_no_number_stays_none(kernel, model, weight, tmp_path):
    def spoil(opened):
        found = weight_of(opened, weight)
        put(found, np.full_like(numpy_helper.to_array(found), np.nan))

    file = changed(FOLDER / "family" / model / "model.onnx", tmp_path, spoil)
    assert np.isnan(logits_of(open_step(kernel, file), some_tokens(3))).all()


def test_a_probability_of_zero_stays_one_in_a_mixture(kernel, tmp_path):
    def never_second(model):
        for name in ("part0.model.head.bias", "part2.model.head.bias"):
            put(weight_of(model, name), np.array([0, -np.inf, 0, 0, 0], np.float32))
        logits = weight_of(model, "part1.model.logits")
        values = numpy_helper.to_array(logits).copy()
        values[:, 1] = -np.inf
        put(logits, values)

    file = changed(BLEND, tmp_path, never_second)
    for name in (kernel, ""):
        logits = logits_of(open_step(name, file), some_tokens(3))
        assert np.isneginf(logits[..., 1]).all()
        assert np.isfinite(logits[..., [0, 2, 3, 4]]).all()


def computed(model):
    name = model.graph.node[0].input[-1]
    model.graph.node[0].input[-1] = "computed"
    model.graph.node.insert(0, helper.make_node("Abs", [name], ["computed"]))


def listed(model):
    weight = weight_of(model, "part0.model.head.bias")
    values = numpy_helper.to_array(weight)
    weight.ClearField("raw_data")
    weight.float_data.extend(values.tolist())


def after_the_mixture(model):
    model.graph.node[-1].output[0] = "mixed"
    model.graph.node.append(helper.make_node("Identity", ["mixed"], ["logits"]))


def states_crossed(model):
    """Hidden units and cells of a layer are of one shape, so only their names tell."""
    inputs = model.graph.node[0].input
    inputs[2], inputs[3] = inputs[3], inputs[2]


def far_context(model):
    weight = weight_of(model, "part1.model.next")
    values = numpy_helper.to_array(weight).copy()
    values[7] = 10_000
    put(weight, values)


@pytest.mark.parametrize(
    "change", [computed, listed, after_the_mixture, states_crossed, far_context]
)
def test_a_file_that_the_kernels_cannot_stand_for_runs_as_its_nodes(kernel, tmp_path, change):
    file = changed(BLEND, tmp_path, change)
    assert open_model(kernel, file).kernel == ""
    if change is far_context:  # no step from the first state leads there
        return
    tokens = some_tokens(3)
    np.testing.assert_array_equal(
        logits_of(open_step(kernel, file), tokens), logits_of(open_step("", file), tokens)
    )


@pytest.mark.parametrize(
    ("table", "at", "number"),
    [
        ("model.next", 2, 89),  # there are 89 contexts
        ("0.ends", 3, 1),
        ("1.ends", -1, 82),
        ("0.suffix", 0, 0),
        ("1.suffix", 4, 6),
        ("0.weight", 0, 1),
        ("0.token", 1, 0),
        ("0.token", 7, 5),
        ("0.token", 3, 1),
        ("0.next", 0, 1),
        ("1.next", 9, 89),
    ],
)
def test_a_sparse_ngram_whose_tables_lead_out_of_each_other_is_left_to_onnxruntime(
    kernel, tmp_path, table, at, number
):
    def lead_astray(model):
        weight = weight_of(model, table)
        values = numpy_helper.to_array(weight).copy()
        assert values.flat[at] != number
        values.flat[at] = number
        put(weight, values)

    file = FOLDER / "family" / "sparse" / "model.onnx"
    assert open_model(kernel, changed(file, tmp_path, lead_astray)).kernel == ""


@pytest.mark.parametrize("file", FAMILY, ids=lambda file: file.parent.name)
def test_weights_of_another_shape_are_left_to_onnxruntime(kernel, tmp_path, file):
    """Each weight of the file once, with a row more, a row less, and of another type."""
    for weight in onnx.load(file).graph.initializer:
        values = numpy_helper.to_array(weight)
        wrong = [np.concatenate([values, values[:1]]), values[None], values.astype(np.float64)]
        if len(values) > 1:
            wrong.append(values[:-1])
        for other in wrong:
            if weight.name == "model.position_embedding.weight" and other.ndim == 2:
                continue  # a block of another size
            altered = changed(
                file, tmp_path, lambda model, w=weight.name, o=other: put(weight_of(model, w), o)
            )
            try:
                opened = open_model(kernel, altered)
            except (ArtifactError, makemore.OrtError):
                continue
            assert opened.kernel == "", (weight.name, other.shape, other.dtype)


def test_a_table_of_numbers_below_zero_is_refused(tmp_path):
    def wrap(model):
        weight = weight_of(model, "part1.model.next")
        values = numpy_helper.to_array(weight).copy()
        values[0] = -1
        put(weight, values)

    with pytest.raises(ArtifactError, match=r"'part1.model.next'.* holds -1; it must be >= 0"):
        open_model(None, changed(BLEND, tmp_path, wrap))


def dequantized(model):
    return next(node for node in model.graph.node if node.op_type == "DequantizeLinear")


def of_another_axis(model):
    dequantized(model).attribute[0].i = 1


def of_no_axis(model):
    del dequantized(model).attribute[:]


def with_a_zero_point(model):
    node = dequantized(model)
    node.input.append(node.input[0])


def of_computed_scales(model):
    node = dequantized(model)
    model.graph.node.insert(0, helper.make_node("Abs", [node.input[1]], ["computed"]))
    node.input[1] = "computed"


def of_a_scale_too_few(model):
    weight = weight_of(model, dequantized(model).input[1])
    put(weight, numpy_helper.to_array(weight)[:-1])


def of_unsigned_bytes(model):
    weight = weight_of(model, dequantized(model).input[0])
    put(weight, np.zeros(tuple(weight.dims), np.uint8))


@pytest.mark.parametrize(
    "change",
    [
        of_another_axis,
        of_no_axis,
        with_a_zero_point,
        of_computed_scales,
        of_a_scale_too_few,
        of_unsigned_bytes,
    ],
)
def test_other_forms_of_int8_than_rows_with_a_scale_are_refused(tmp_path, change):
    file = changed(FOLDER / "family" / "int8-lstm" / "model.onnx", tmp_path, change)
    with pytest.raises(ArtifactError, match="'DequantizeLinear' must have a constant matrix of"):
        open_model(None, file)


def test_an_embedding_in_int8_is_left_to_onnxruntime(kernel, tmp_path):
    def round_it(model):
        weight = weight_of(model, "token_embedding.weight")
        values = numpy_helper.to_array(weight)
        names, name = ["numbers", "scales"], weight.name
        model.graph.initializer.extend(
            numpy_helper.from_array(value, each)
            for value, each in zip(
                (np.sign(values).astype(np.int8), np.ones(len(values), np.float32)),
                names,
                strict=True,
            )
        )
        model.graph.initializer.remove(weight_of(model, "token_embedding.weight"))
        model.graph.node.insert(0, helper.make_node("DequantizeLinear", names, [name], axis=0))

    file = changed(FOLDER / "family" / "bow" / "model.onnx", tmp_path, round_it)
    assert open_model(kernel, file).kernel == ""
    assert np.isfinite(logits_of(open_step(kernel, file), some_tokens(3))).all()
