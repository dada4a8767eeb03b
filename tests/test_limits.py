"""What a file may ask for: operators of a step, and memory up to `max_bytes`."""

from __future__ import annotations

from pathlib import Path

import makemore
import numpy as np
import onnx
import pytest
import tiny_artifacts
from makemore import ArtifactError, OptionError, OrtError
from makemore.artifact import StateSpec
from makemore.loading import MAX_BYTES
from test_hostile_files import refuse, save, save_state
from tiny_artifacts import FOLDER

HEAD = "step (int64[B] token, int64[B] position) => (float[B, 4] logits) "
TABLE = np.zeros((4, 4), np.float32)


def save_nodes(folder, nodes, **initializers):
    """A model of four logits, of `nodes` that may read `table`, (4, 4)."""
    model = tiny_artifacts.parse(HEAD + "{" + nodes + "}", table=TABLE, **initializers)
    return save(model, tiny_artifacts.metadata(tuple("abc")), folder)


HUGE_CONSTANT = """
  huge = ConstantOfShape (shape)
  axes = Constant <value_ints = [0]> ()
  sum = ReduceSum <keepdims = 0> (huge, axes)
  looked_up = Gather (table, token)
  logits = Add (looked_up, sum)
"""


def doubling(times):
    nodes = [f"x{i + 1} = Concat <axis = 0> (x{i}, x{i})" for i in range(times)]
    return (
        "\n".join(["x0 = Identity (seed)", *nodes])
        + f"""
      axes = Constant <value_ints = [0]> ()
      sum = ReduceSum <keepdims = 0> (x{times}, axes)
      looked_up = Gather (table, token)
      logits = Add (looked_up, sum)
    """
    )


def resident_bytes():
    """The most memory that this process has had since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.parametrize(
    ("nodes", "initializers"),
    [
        (HUGE_CONSTANT, {"shape": np.array([2**30], np.int64)}),
        (doubling(40), {"seed": np.zeros(16, np.float32)}),
    ],
    ids=["a constant of 4 GB", "a list that doubles 40 times"],
)
def test_a_step_that_computes_more_than_it_may_fails_before_the_memory_is_taken(
    tmp_path, nodes, initializers
):
    sampler = makemore.load(save_nodes(tmp_path, nodes, **initializers))
    with pytest.raises(OrtError, match="out of memory, which max_bytes limits"):
        sampler.sample(1)


def test_memory_stays_below_the_limit(tmp_path):
    try:
        forget_peak()
    except OSError:
        pytest.skip("this system does not measure the peak")
    before = resident_bytes()
    limit = 2**26
    path = save_nodes(tmp_path, doubling(40), seed=np.zeros(16, np.float32))
    with pytest.raises(OrtError, match="max_bytes"):
        makemore.load(path, max_bytes=limit).sample(1)
    assert resident_bytes() - before < 1.5 * limit


def test_a_caller_may_allow_more_memory(tmp_path):
    shape = np.array([2**18, 4], np.int64)  # 4 MiB of floats
    path = save_nodes(tmp_path, HUGE_CONSTANT, shape=shape)
    with pytest.raises(OrtError, match="max_bytes"):
        makemore.load(path, max_bytes=2**21).sample(1)
    assert len(makemore.load(path, max_bytes=2**24).sample(3)) == 3


def test_sessions_have_limits_of_their_own(tmp_path):
    shape = np.array([2**18, 4], np.int64)
    path = save_nodes(tmp_path, HUGE_CONSTANT, shape=shape)
    samplers = [makemore.load(path, max_bytes=size) for size in (2**24, 2**21, 2**24)]
    assert len(samplers[0].sample(3)) == len(samplers[2].sample(3)) == 3
    with pytest.raises(OrtError, match="max_bytes"):
        samplers[1].sample(1)


@pytest.mark.parametrize("size", [100, 700])
def test_a_file_of_more_bytes_than_it_may_have_is_refused(size):
    path = FOLDER / "bigram" / "model.onnx"
    with pytest.raises(ArtifactError, match=f"bytes, more than max_bytes = {size}"):
        makemore.load(path, max_bytes=size)
    with pytest.raises(ArtifactError, match=f"more than max_bytes = {size}"):
        makemore.load(path.read_bytes(), max_bytes=size)


@pytest.mark.parametrize("max_bytes", [0, -1, 2**63])
def test_a_limit_that_cannot_be_is_refused(max_bytes):
    with pytest.raises(OptionError, match=f"max_bytes is {max_bytes}; it must be an integer >= 1"):
        makemore.load(FOLDER / "bigram", max_bytes=max_bytes)


def test_a_row_of_more_bytes_than_it_may_have_is_refused(tmp_path):
    refuse(save_state(tmp_path, (MAX_BYTES,)), "'cache' of shape .* more than 67108864 bytes")
    path = save_state(tmp_path, (2**20,))
    with pytest.raises(
        ArtifactError, match=r"'cache' of shape .* more than 500000 bytes, an eighth"
    ):
        makemore.load(path, max_bytes=4_000_000)


def test_states_that_together_take_more_than_they_may_are_refused(tmp_path):
    names = [f"s{i}" for i in range(600)]
    inputs = "".join(f", float[B, 1048576] {name}" for name in names)
    outputs = "".join(f", float[B, 1048576] next_{name}" for name in names)
    nodes = "".join(f"next_{name} = Identity ({name}) " for name in names)
    model = tiny_artifacts.parse(
        f"step (int64[B] token, int64[B] position{inputs}) => (float[B, 4] logits{outputs}) "
        f"{{ logits = Gather (table, token) {nodes} }}",
        table=TABLE,
    )
    states = tuple(StateSpec(name=name, dtype="float32", shape=(2**20,)) for name in names)
    refuse(
        save(model, tiny_artifacts.metadata(tuple("abc"), states=states), tmp_path),
        "with 's15' of shape .* a row takes more than 67108864 bytes, an eighth of max_bytes",
    )


@pytest.mark.parametrize(("name", "max_bytes"), [("history", 8_000), ("fused", 100_000)])
@pytest.mark.parametrize("strategy", ["tree", "cached"])
def test_batches_are_as_large_as_memory_allows_and_change_no_string(name, max_bytes, strategy):
    expected = makemore.load(FOLDER / name).sample(300, seed=1)
    sampler = makemore.load(FOLDER / name, max_bytes=max_bytes)
    assert sampler.max_rows < 150
    sampler._strategy = strategy
    for batch_size in (None, 1, 300, 2**40):
        assert sampler.sample(300, seed=1, batch_size=batch_size) == expected
    with pytest.raises(OptionError, match=f"rows take more than max_bytes = {max_bytes}; up to"):
        sampler.new_step().reset(sampler.max_rows + 1)


CONTROL_FLOW = {
    "Loop": """
      trips = Constant <value_int = 9223372036854775807> ()
      go = Constant <value = bool {1}> ()
      logits = Loop (trips, go, looked_up)
        <body = body (int64 i, bool on, float[n, m] x) => (bool next, float[n, m] y)
          { next = Identity (on) y = Identity (x) }>
    """,
    "If": """
      go = Constant <value = bool {1}> ()
      logits = If (go)
        <then_branch = yes () => (float[n, m] y) { y = Identity (looked_up) },
         else_branch = no () => (float[n, m] z) { z = Identity (looked_up) }>
    """,
    "RandomNormalLike": "logits = RandomNormalLike (looked_up)",
    "Bernoulli": "logits = Bernoulli (looked_up)",
    "NonZero": "there = NonZero (looked_up) logits = Identity (looked_up)",
    "SequenceConstruct": "many = SequenceConstruct (looked_up) logits = SequenceAt (many, zero)",
}


@pytest.mark.parametrize("op", CONTROL_FLOW)
def test_operators_that_no_step_needs_are_refused_by_name(tmp_path, op):
    nodes = "looked_up = Gather (table, token) " + CONTROL_FLOW[op]
    model = onnx.parser.parse_model(tiny_artifacts.HEADER + HEAD + "{" + nodes + "}")
    model.graph.initializer.append(onnx.numpy_helper.from_array(TABLE, "table"))
    refuse(save(model, tiny_artifacts.metadata(tuple("abc")), tmp_path), f"it has a node '{op}'")


def test_operators_of_others_are_refused_unless_the_file_is_trusted(tmp_path):
    nodes = "logits = Gather (table, token) there = NonZero (logits)"
    path = save_nodes(tmp_path, nodes)
    refuse(path, "trust=True loads a file whose source you trust")
    assert len(makemore.load(path, trust=True).sample(3)) == 3


def test_a_tensor_in_another_file_is_refused(tmp_path):
    model = tiny_artifacts.build(tiny_artifacts.tiny_models.BIGRAM)
    onnx.save(
        model,
        tmp_path / "model.onnx",
        save_as_external_data=True,
        location="weights",
        size_threshold=0,
    )
    assert (tmp_path / "weights").exists()
    refuse(tmp_path, "tensor 'table' lies in another file; an artifact is one file")
    with pytest.raises(ArtifactError, match="another file"):
        makemore.load(tmp_path, trust=True)


def test_messages_are_short_whatever_a_file_holds(tmp_path):
    model = tiny_artifacts.build(tiny_artifacts.tiny_models.BIGRAM)
    model.graph.node[0].op_type = "\x1b[31mEvil\n" + "x" * 200_000
    with pytest.raises(ArtifactError) as caught:
        makemore.load(model.SerializeToString())
    message = str(caught.value)
    assert len(message) < 300
    assert message.isprintable()
    model = tiny_artifacts.build(tiny_artifacts.tiny_models.BIGRAM)
    model.metadata_props[0].value = '{"schema":2,"' + "k" * 100_000 + '":['
    with pytest.raises(ArtifactError) as caught:
        makemore.load(model.SerializeToString())
    assert len(str(caught.value)) < 3000
