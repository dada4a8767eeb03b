"""Files that lie about themselves: refused when they are loaded, before anything is computed."""

from __future__ import annotations

import makemore
import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import tiny_artifacts
from makemore import ArtifactError, OptionError, _core
from makemore.artifact import METADATA_KEY, StateSpec
from makemore.runtime.onnxruntime_library import open_library
from msgspec.structs import replace
from tiny_artifacts import FOLDER

FUSED = FOLDER / "fused" / "model.onnx"


def refuse(path, message):
    with pytest.raises(ArtifactError, match=message) as caught:
        makemore.load(path)
    assert "\n" not in str(caught.value)


def save(model, artifact, folder):
    """Writes a model with its metadata; returns `folder`."""
    onnx.helper.set_model_props(model, {METADATA_KEY: artifact.to_json()})
    onnx.save(model, folder / "model.onnx")
    return folder


def save_transformer(folder, declared, rows):
    """The fused artifact with logits `declared` wide, over an embedding and a head of `rows`."""
    model = onnx.load(FUSED)
    node = model.graph.node[0]
    constants = {constant.name: constant for constant in model.graph.initializer}
    for name in (node.input[6], node.input[-1]):  # the first and the last of its parameters
        values = np.resize(onnx.numpy_helper.to_array(constants[name]), (rows, 16))
        constants[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = declared
    tokens = tuple(map(chr, range(0x4E00, 0x4E00 + declared - 1)))
    return save(model, replace(makemore.load(FUSED).artifact, tokens=tokens), folder)


@pytest.mark.parametrize(("declared", "rows"), [(2, 4096), (3, 5), (4, 5), (2000, 5), (6, 5)])
def test_a_transformer_with_other_rows_than_declared_logits_is_refused(tmp_path, declared, rows):
    refuse(
        save_transformer(tmp_path, declared, rows),
        rf"declared {declared} wide, but the weights give {rows} logits|"
        rf"the vocabulary has {declared} tokens, the model gives {rows} logits",
    )


def test_a_transformer_with_as_many_rows_as_declared_logits_loads(tmp_path):
    sampler = makemore.load(save_transformer(tmp_path, 7, 7))
    assert len(sampler.sample(10, seed=1)) == 10


# The number of columns that Compress keeps is known when it runs, and not before.
COMPRESSED = """step (int64[B] token, int64[B] position) => (float[B, {width}] logits) {{
  wide = Gather (table, token)
  logits = Compress <axis = 1> (wide, kept)
}}"""


@pytest.mark.parametrize("width", [2, 1000, 2000])
def test_logits_of_another_width_than_declared_are_refused(tmp_path, width):
    table, kept = np.zeros((1000, 1000), np.float32), np.ones(1000, bool)
    model = tiny_artifacts.parse(COMPRESSED.format(width=width), table=table, kept=kept)
    tokens = tuple(map(chr, range(0x4E00, 0x4E00 + width - 1)))
    path = save(model, tiny_artifacts.metadata(tokens), tmp_path)
    if width == 1000:
        assert len(makemore.load(path, trust=True).sample(3)) == 3
        return
    with pytest.raises(ArtifactError, match=r"a step failed: .*shape"):
        makemore.load(path, trust=True)


STATE = """step (int64[B] token, int64[B] position, float[B, {shape}] cache)
=> (float[B, 4] logits, float[B, {shape}] next_cache) {{
  logits = Gather (table, token)
  next_cache = Identity (cache)
}}"""


def save_state(folder, shape, time_axis=None):
    """A model that carries a state of `shape`, which may be any."""
    graph = STATE.format(shape=", ".join(map(str, shape)))
    model = tiny_artifacts.parse(graph, table=np.zeros((4, 4), np.float32))
    state = StateSpec(name="cache", dtype="float32", shape=shape, time_axis=time_axis)
    block_size = None if time_axis is None else shape[time_axis]
    artifact = tiny_artifacts.metadata(
        tuple("abc"), max_length=7, block_size=block_size, states=(state,)
    )
    return save(model, artifact, folder)


@pytest.mark.parametrize(
    ("shape", "time_axis"),
    [
        ((2**32, 2**32, 16), 2),  # the product of sizes wraps to 0
        ((2**31, 2**31, 16), 2),  # and so do its bytes
        ((2**40, 2**40), None),
        ((2**62,), None),
    ],
)
def test_a_state_whose_size_no_memory_holds_is_refused(tmp_path, shape, time_axis):
    refuse(
        save_state(tmp_path, shape, time_axis),
        ".cache. of shape .* a row takes more than 67108864 bytes, an eighth of max_bytes",
    )


@pytest.mark.parametrize("path", ["fused", "cache", "history"])
@pytest.mark.parametrize("rows", [2**40, 2**60, 2**63 - 1])
def test_more_rows_than_memory_holds_are_refused(path, rows):
    step = makemore.load(FOLDER / path).new_step()
    step.reset(1)
    with pytest.raises(OptionError, match=f"{rows} rows take more than max_bytes"):
        step.reset(rows)
    step.reset(1)
    assert np.isfinite(step.run([0], [0])).all()


@pytest.mark.parametrize("path", ["bigram", "history", "half", "cache", "fused"])
def test_tokens_and_positions_that_a_model_does_not_know_are_refused(path):
    sampler = makemore.load(FOLDER / path)
    step, block_size = sampler.new_step(), sampler.artifact.block_size
    step.reset(1)
    for token in (-(2**63), -1, step.vocab_size, 2**63 - 1):
        with pytest.raises(OptionError, match=f"a token is {token}; it must be >= 0 and below"):
            step.run([token], [0])
    for position in (-(2**63), -1, block_size or 2**63 - 1):
        with pytest.raises(OptionError, match=f"a position is {position}; it must be >= 0"):
            step.run([0], [position])
    assert np.isfinite(step.run([0], [0])).all()


def test_a_block_that_the_weights_do_not_know_is_refused(tmp_path):
    artifact = makemore.load(FUSED).artifact
    states = tuple(replace(state, time_axis=None) for state in artifact.states)
    artifact = replace(artifact, block_size=100, states=states)
    refuse(
        save(onnx.load(FUSED), artifact, tmp_path),
        "block_size is 100, but the weights know 8 positions",
    )


def test_a_transformer_without_its_caches_is_not_run_by_a_kernel(tmp_path):
    model = onnx.load(FUSED)
    node = model.graph.node[0]
    for list_, first, count in ((node.input, 2, 4), (node.output, 1, 4)):
        del list_[first : first + count]
    del model.graph.input[2:]
    del model.graph.output[1:]
    refuse(
        save(model, replace(makemore.load(FUSED).artifact, states=()), tmp_path),
        r"a call of function .TransformerStep. has \d+ inputs and 1 outputs; the function has",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_head", 0), ("n_head", 3), ("n_head", 2**31 - 1), ("epsilon", -1.0), ("epsilon", np.nan)],
)
def test_attributes_that_no_kernel_computes_with_are_left_to_the_nodes_of_the_file(
    tmp_path, name, value
):
    model = onnx.load(FUSED)
    (attribute,) = [a for a in model.graph.node[0].attribute if a.name == name]
    attribute.CopyFrom(onnx.helper.make_attribute(name, value))
    onnx.save(model, tmp_path / "model.onnx")
    opened = _core.OnnxModel(open_library(), tmp_path / "model.onnx")
    assert opened.kernel == ""
