"""Files that lie about themselves: refused when they are loaded, before anything is computed."""

from __future__ import annotations

import os
import subprocess
import sys

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


def test_a_file_that_is_in_onnx_runtimes_own_format_too_is_refused(tmp_path):
    model = onnx.load(FOLDER / "bigram" / "model.onnx").SerializeToString()
    # Field 15, which a model does not have, is skipped by those who read the file as ONNX.
    (tmp_path / "model.onnx").write_bytes(b"\x7a\x06xxORTM" + model)
    refuse(tmp_path, "its bytes 4 to 7 are 'ORTM', the mark of ONNX Runtime's own format")


def encoded(*fields):
    """A protobuf message of fields (number, value): integers, and bytes with their length."""

    def varint(value):
        first = bytes([value & 0x7F | 0x80])
        return first + varint(value >> 7) if value > 0x7F else bytes([value])

    return b"".join(
        varint(number << 3) + varint(value)
        if isinstance(value, int)
        else varint(number << 3 | 2) + varint(len(value)) + value
        for number, value in fields
    )


LOWEST = """<ir_version: 8, opset_import: ["" : 18, "makemore" : 1]>
step (int64[B] token, int64[B] position) => (float[B, 4] logits)
<int64[1] lowest = {-9223372036854775808}, int64[1] zero = {0}, int64[1] two = {2}> {
  nothing = Mul (token, zero)
  large = Add (nothing, lowest)
  divided = Div (large, divisor)
  index = Mul (divided, zero)
  table = Constant <value = float[4, 4] {0,0,0,0, 0,0,0,0, 0,0,0,0, 0,0,0,0}> ()
  logits = Gather (table, index)
}"""
IDENTITY = """<domain: "makemore", opset_import: ["" : 18]>
Identity (n) => (m) {
  three = Constant <value_ints = [3]> ()
  m = Sub (n, three)
}"""
INT32, INT64, MINUS_ONE = 6, 7, 2**64 - 1


def constant(*attribute):
    return encoded((2, b"divisor"), (4, b"Constant"), (5, encoded(*attribute)))


def tensor(*numbers):
    fields = [(7, number) for number in numbers]
    return encoded((1, len(numbers)), (2, INT64), (8, b"divisor"), *fields)


# Fields of a graph that make a divisor of -1, which looks like another: the lowest integer divided
# by it ends the process.
DIVISORS = {
    "more than 32 bits": [
        (5, encoded((1, 1), (2, INT32), (5, 2**32 - 1), (8, b"narrow"))),
        (1, encoded((1, b"narrow"), (2, b"same"), (4, b"Identity"))),
        (1, encoded((1, b"narrow"), (1, b"same"), (2, b"quotient"), (4, b"Div"))),
        (5, tensor(5)),
    ],
    "tensors that are merged": [
        (1, constant((1, b"value"), (5, tensor(*[MINUS_ONE] * 2)), (5, tensor(5, 5)), (20, 4)))
    ],
    "a number that is packed": [
        (5, encoded((1, 1), (2, 1), (8, b"float"), (9, b"\0\0\x80\xbf"))),
        (
            1,
            encoded(
                (1, b"float"),
                (2, b"divisor"),
                (4, b"Cast"),
                (5, encoded((1, b"to"), (3, INT64), (3, b"\1"), (20, 2))),
            ),
        ),
    ],
    "two of a name": [(5, tensor(MINUS_ONE)), (5, tensor(5))],
    "a float of type integer": [(1, constant((1, b"value_float"), (3, MINUS_ONE), (20, 2)))],
    "a function that is named like an operator": [
        (1, encoded((1, b"two"), (2, b"divisor"), (4, b"Identity"), (7, b"makemore")))
    ],
}


@pytest.mark.parametrize("fields", DIVISORS.values(), ids=DIVISORS)
def test_a_divisor_that_onnx_runtime_reads_differently_is_refused(fields):
    model = onnx.parser.parse_model(LOWEST)
    model.functions.append(onnx.parser.parse_function(IDENTITY))
    graph = encoded(*fields) + model.graph.SerializeToString()
    model.ClearField("graph")
    file = model.SerializeToString() + encoded((7, graph))
    refusals = (
        "divides by what is neither a float nor a constant above 0",
        "an attribute has field 5 twice; it may have it once",
        "field 3 of an attribute is of the wrong kind, wire type 2",
        "two values have the name 'divisor'",
        "a node 'Constant' must have one attribute, its value, of the type of its name",
    )
    with pytest.raises(ArtifactError, match="|".join(refusals)):
        _core.OnnxModel(open_library(), file)


MIXTURE = """<ir_version: 8, opset_import: ["" : 18, "makemore" : 1]>
step (int64[B] token, int64[B] position) => (float[B, 500] logits) {{
  {parts}
  logits = makemore.Mixture ({names}, weights)
}}
<domain: "makemore", opset_import: ["" : 18]>
BigramStep (token, position, table) => (logits) {{ logits = Gather (table, token) }}
<domain: "makemore", opset_import: ["" : 18]>
Mixture ({names}, weights) => (logits) {{ logits = Identity (p0) }}"""


def mixture(parts):
    """The bytes of a mixture of bigrams that share one table of a megabyte."""
    names = [f"p{i}" for i in range(parts)]
    calls = "\n  ".join(f"{name} = makemore.BigramStep (token, position, table)" for name in names)
    model = onnx.parser.parse_model(MIXTURE.format(parts=calls, names=", ".join(names)))
    constants = {"table": np.zeros((500, 500)), "weights": np.full(parts, 1 / parts)}
    for name, values in constants.items():
        constant = onnx.numpy_helper.from_array(values.astype(np.float32), name)
        model.graph.initializer.append(constant)
    return model.SerializeToString()


needs_kernel = pytest.mark.skipif(not _core.kernels(), reason="this machine has no kernel")


@needs_kernel
def test_a_mixture_whose_parts_copy_one_table_stays_within_max_bytes():
    library, limit = open_library(), 2**24
    assert _core.OnnxModel(library, mixture(16), max_bytes=limit).kernel != ""
    with pytest.raises(
        ArtifactError,
        match=f"its weights up to part 17 take 17000000 bytes .*, more than max_bytes = {limit}",
    ):
        _core.OnnxModel(library, mixture(40), max_bytes=limit)
    assert _core.OnnxModel(library, mixture(40), max_bytes=limit, kernel="").kernel == ""


@needs_kernel
def test_the_logits_of_the_parts_count_as_the_memory_of_a_row():
    library, limit = open_library(), 2**24
    single = _core.OnnxModel(library, mixture(16), max_bytes=limit, kernel="").max_rows
    assert _core.OnnxModel(library, mixture(16), max_bytes=limit).max_rows == single * 4 // (4 + 16)


PERCEPTRON = """<ir_version: 8, opset_import: ["" : 18, "makemore" : 1]>
step (int64[B] token, int64[B] position, int64[B, 1] state)
=> (float[B, 2] logits, int64[B, 1] next) {
  logits, next = makemore.MlpStep (token, position, state, embedding, hidden, b, head, c)
}
<domain: "makemore", opset_import: ["" : 18]>
MlpStep (token, position, state, embedding, hidden, b, head, c) => (logits, next) {
  one = Gather (head, token)
  logits = Concat <axis = 1> (one, one)
  next = Identity (state)
}"""


@needs_kernel
def test_a_step_that_works_in_more_than_max_bytes_is_refused():
    width = 20_000  # of embeddings, of which the rows of a step read 15 MB
    model = onnx.parser.parse_model(PERCEPTRON)
    shapes = {"embedding": (2, width), "hidden": (1, 2 * width), "b": 1, "head": (2, 1), "c": 2}
    for name, shape in shapes.items():
        constant = onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name)
        model.graph.initializer.append(constant)
    library, file = open_library(), model.SerializeToString()
    assert _core.OnnxModel(library, file, max_bytes=2**24).kernel != ""
    with pytest.raises(ArtifactError, match=r"a step works in 15.* bytes, more than max_bytes = 8"):
        _core.OnnxModel(library, file, max_bytes=2**23)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "model.onnx")
    program = (
        "import pathlib, sys; from makemore import _core;"
        "from makemore.runtime.onnxruntime_library import open_library;"
        "_core.OnnxModel(open_library(), pathlib.Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, tmp_path / "model.onnx"]
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "model.onnx: it cannot be read" in refused.stderr
