"""Writes the models of `tiny_models.py` as artifacts: `python tests/tiny_artifacts.py`.

What it writes, `tests/artifacts/` and the runtime's self-test, is committed: the tests of the
runtime, in C++ too, need no exporter.
"""

from __future__ import annotations

from pathlib import Path

import makemore
import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import oracle
import tiny_models
from makemore import Sampler
from makemore.artifact import (
    METADATA_KEY,
    Artifact,
    DataInfo,
    Golden,
    ModelInfo,
    StateSpec,
    TrainingInfo,
)
from makemore.commands.doctor import SELF_TEST
from makemore.vocabulary import Level
from tiny_models import TinyModel

FOLDER = Path(__file__).parent / "artifacts"
HEADER = '<ir_version: 8, opset_import: ["" : 18]>\n'

TABLE = """step (int64[B] token, int64[B] position) => (float[B, {vocab_size}] logits) {{
  logits = Gather (table, token)
}}"""

HISTORY = """step (int64[B] token, int64[B] position, float[B, 3] trace, int64[B] count)
=> (float[B, 4] logits, float[B, 3] next_trace, int64[B] next_count) {
  half = Constant <value_float = 0.5> ()
  faded = Mul (trace, half)
  embedded = Gather (embedding, token)
  next_trace = Add (faded, embedded)
  two = Constant <value_int = 2> ()
  five = Constant <value_int = 5> ()
  doubled = Mul (count, two)
  fed = Add (token, position)
  counted = Add (doubled, fed)
  next_count = Mod (counted, five)
  told = MatMul (next_trace, head)
  looked_up = Gather (by_count, next_count)
  logits = Add (told, looked_up)
}"""

HALF = (
    HISTORY.replace("float[B, 3]", "float16[B, 3]")
    .replace("half = Constant", "single = Constant")
    .replace("faded =", "half = Cast <to = 10> (single)\n  faded =")
    .replace("(next_trace, head)", "(exact, head)")
    .replace("told =", "exact = Cast <to = 1> (next_trace)\n  told =")
)

# The slot of `position` is written by ScatterND and all slots are read back through a mask.
CACHE = """step (int64[B] token, int64[B] position, float[B, 2, 8, 2] cache)
=> (float[B, 4] logits, float[B, 2, 8, 2] next_cache) {
  row_shape = Constant <value_ints = [-1, 1, 1]> ()
  index_shape = Constant <value_ints = [1, 2, 1]> ()
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  shape = Shape (token)
  size = Squeeze (shape)
  numbers = Range (zero, size, one)
  rows = Reshape (numbers, row_shape)
  row = Expand (rows, index_shape)
  heads = Constant <value_ints = [0, 1]> ()
  heads_3d = Reshape (heads, index_shape)
  same = Mul (row, zero)
  head_index = Add (same, heads_3d)
  slots = Reshape (position, row_shape)
  slot = Expand (slots, index_shape)
  indices = Concat <axis = 2> (row, head_index, slot)
  embedded = Gather (embedding, token)
  update_shape = Constant <value_ints = [-1, 2, 2]> ()
  updates = Reshape (embedded, update_shape)
  next_cache = ScatterND (cache, indices, updates)

  column_shape = Constant <value_ints = [-1, 1]> ()
  times = Constant <value_ints = [0, 1, 2, 3, 4, 5, 6, 7]> ()
  column = Reshape (position, column_shape)
  signed = Sub (column, times)
  ago = Max (signed, zero)
  weight = Gather (distance, ago)
  past = GreaterOrEqual (column, times)
  time_shape = Constant <value_ints = [-1, 1, 8, 1]> ()
  weight_4d = Reshape (weight, time_shape)
  past_4d = Reshape (past, time_shape)
  nothing = Constant <value_float = 0.0> ()
  known = Where (past_4d, next_cache, nothing)
  weighted = Mul (weight_4d, known)
  time_axis = Constant <value_ints = [2]> ()
  summed = ReduceSum <keepdims = 0> (weighted, time_axis)
  flat_shape = Constant <value_ints = [-1, 4]> ()
  read = Reshape (summed, flat_shape)
  told = MatMul (read, head)
  looked_up = Gather (by_position, position)
  logits = Add (told, looked_up)
}"""

GRAPHS = {
    "bigram": (TABLE.format(vocab_size=4), {"table": tiny_models.BIGRAM_LOGITS}),
    "sparse": (TABLE.format(vocab_size=5), {"table": tiny_models.SPARSE_LOGITS}),
    "history": (
        HISTORY,
        {
            "embedding": tiny_models.HISTORY_EMBEDDING,
            "head": tiny_models.HISTORY_HEAD,
            "by_count": tiny_models.HISTORY_COUNTED,
        },
    ),
    "half": (
        HALF,
        {
            "embedding": tiny_models.HISTORY_EMBEDDING.astype(np.float16),
            "head": tiny_models.HISTORY_HEAD,
            "by_count": tiny_models.HISTORY_COUNTED,
        },
    ),
    "cache": (
        CACHE,
        {
            "embedding": tiny_models.CACHE_EMBEDDING,
            "head": tiny_models.CACHE_HEAD,
            "by_position": tiny_models.CACHE_POSITION,
            "distance": tiny_models.CACHE_DISTANCE,
        },
    ),
}


def load_tiny(name: str, strategy: str = "auto", threads: int = 1) -> Sampler:
    """A committed artifact, decoded by one of the strategies."""
    sampler = makemore.load(FOLDER / name, threads=threads)
    sampler._strategy = strategy
    return sampler


def parse(graph: str, **initializers: np.ndarray) -> onnx.ModelProto:
    """A model from ONNX's textual syntax."""
    model = onnx.parser.parse_model(HEADER + graph)
    for name, value in initializers.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return model


def metadata(
    tokens: tuple[str, ...],
    *,
    level: Level = "character",
    name: str = "tiny",
    max_length: int = 20,
    block_size: int | None = None,
    states: tuple[StateSpec, ...] = (),
    golden: tuple[str, ...] = (),
) -> Artifact:
    data = DataInfo(name="none", sha256="", lines=0, blank=0, duplicates=0, split={})
    return Artifact(
        model=ModelInfo(type=name, config={}, parameters=0),
        level=level,
        tokens=tokens,
        block_size=block_size,
        max_length=max_length,
        states=states,
        training=TrainingInfo(data=data, losses={}, steps=0, seed=0),
        versions={},
        golden=Golden(seed=1, strings=golden),
    )


def build(tiny: TinyModel) -> onnx.ModelProto:
    """The artifact of a tiny model; the oracle makes its golden samples."""
    graph, initializers = GRAPHS[tiny.name]
    golden = (
        oracle.sample(tiny.logits, seed=1, row=row, max_length=tiny.max_length) for row in range(20)
    )
    artifact = metadata(
        tiny.characters,
        name=tiny.name,
        max_length=tiny.max_length,
        block_size=tiny.block_size,
        states=tiny.states,
        golden=tuple(tiny.decode(sample.ids) for sample in golden),
    )
    model = parse(graph, **initializers)
    onnx.helper.set_model_props(model, {METADATA_KEY: artifact.to_json()})
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    for tiny in tiny_models.MODELS:
        (FOLDER / tiny.name).mkdir(parents=True, exist_ok=True)
        onnx.save(build(tiny), FOLDER / tiny.name / "model.onnx")
    onnx.save(build(tiny_models.CACHE), SELF_TEST)
