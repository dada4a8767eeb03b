"""Mutations that keep a file's statements in agreement with each other, and with nothing else.

A single change is refused by the first check that compares two places of the file; these change
all places at once, so that what is left to catch them is the check against the weights, or none.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numbers_pool
import numpy as np
from onnx import ModelProto, numpy_helper
from tensor_mutations import array_of

KEY = "makemore"


def metadata_of(model: ModelProto) -> dict[str, Any]:
    return json.loads(next(prop.value for prop in model.metadata_props if prop.key == KEY))


def put_metadata(model: ModelProto, metadata: dict[str, Any]) -> None:
    next(prop for prop in model.metadata_props if prop.key == KEY).value = json.dumps(metadata)


def widen_logits(model: ModelProto, rng: random.Random) -> None:
    """Declares a number of tokens, in the graph and the metadata, that the weights do not have."""
    declare_tokens(model, rng.choice((2, 3, 4, 6, 9, 40, 300, 2000, 100_000)))


def declare_tokens(model: ModelProto, count: int) -> None:
    metadata = metadata_of(model)
    tokens = "characters" if "characters" in metadata else "tokens"
    metadata["level"] = "character"
    metadata[tokens] = [chr(0x10000 + i) for i in range(count - 1)]
    put_metadata(model, metadata)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = count


def widen_weights(model: ModelProto, rng: random.Random) -> None:
    """Gives every table that has a row for each token another number of rows, declared nowhere."""
    old = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    resize_rows(model, old, rng.choice((1, 2, old - 1, old + 1, 300, 4096)))


def resize_rows(model: ModelProto, old: int, new: int) -> None:
    for weight in model.graph.initializer:
        if len(weight.dims) == 2 and weight.dims[0] == old and new > 0:
            array = array_of(weight)
            array = np.resize(array, (new, array.shape[1]))
            weight.CopyFrom(numpy_helper.from_array(array, weight.name))


def resize_state(model: ModelProto, rng: random.Random) -> None:
    """One size of a state, in the graph and the metadata."""
    metadata = metadata_of(model)
    number = rng.randrange(len(metadata["states"]))
    shape = metadata["states"][number]["shape"]
    axis = rng.randrange(len(shape))
    shape[axis] = abs(numbers_pool.integer(rng))
    if rng.random() < 0.3:
        shape.insert(0, abs(numbers_pool.integer(rng)))
        metadata["states"][number]["time_axis"] = None
    if metadata["states"][number]["time_axis"] == axis:
        metadata["block_size"] = shape[axis]
        metadata["max_length"] = max(1, shape[axis] - 1)
    declare_state(model, number, shape)
    put_metadata(model, metadata)


def declare_state(model: ModelProto, number: int, shape: list[int]) -> None:
    for info in (model.graph.input[2 + number], model.graph.output[1 + number]):
        dims = info.type.tensor_type.shape.dim
        del dims[1:]
        for size in shape:
            dims.add().dim_value = size


def add_time_axis(model: ModelProto, rng: random.Random) -> None:
    """Promises a cache that is only added to, of a state that is none; or takes it back."""
    metadata = metadata_of(model)
    state = rng.choice(metadata["states"])
    if state["time_axis"] is not None:
        state["time_axis"] = None
    else:
        axis = rng.randrange(len(state["shape"]))
        state["time_axis"] = axis
        metadata["block_size"] = state["shape"][axis]
        metadata["max_length"] = max(1, state["shape"][axis] - 1)
    put_metadata(model, metadata)


def change_block(model: ModelProto, rng: random.Random) -> None:
    """A block of another size than the model's tables, with or without the caches."""
    metadata = metadata_of(model)
    old, new = metadata["block_size"], rng.choice((2, 3, 7, 9, 17, 64, 1000, 2**20, 2**40))
    metadata["block_size"], metadata["max_length"] = new, new - 1
    if rng.random() < 0.7:
        for number, state in enumerate(metadata["states"]):
            state["shape"] = [new if size == old else size for size in state["shape"]]
            declare_state(model, number, state["shape"])
    if rng.random() < 0.3 and old is not None:
        resize_rows(model, old, min(new, 4096))
    put_metadata(model, metadata)


def many_states(model: ModelProto, rng: random.Random) -> None:
    """Hundreds of states, each passed through."""
    metadata = metadata_of(model)
    size = rng.choice((1, 16, 2**20, 2**40))
    for i in range(rng.choice((1, 40, 400))):
        info = model.graph.input.add()
        info.CopyFrom(model.graph.input[0])
        info.name = f"more_{i}"
        info.type.tensor_type.elem_type = 1
        info.type.tensor_type.shape.dim.add().dim_value = size
        out = model.graph.output.add()
        out.CopyFrom(info)
        out.name = f"next_more_{i}"
        model.graph.node.add(op_type="Identity", input=[info.name], output=[out.name])
        metadata["states"].append({"name": info.name, "dtype": "float32", "shape": [size]})
    put_metadata(model, metadata)


def endless(model: ModelProto, rng: random.Random) -> None:
    """A model that never stops, with the largest lengths."""
    metadata = metadata_of(model)
    metadata["block_size"] = None
    metadata["max_length"] = rng.choice((2**62, 2**63 - 1, 10**9, 10**6))
    put_metadata(model, metadata)
    for weight in model.graph.initializer:
        if len(weight.dims) == 2 and rng.random() < 0.7:
            array = array_of(weight).copy()
            array[:, 0] = -np.inf if array.dtype.kind == "f" else 0
            weight.CopyFrom(numpy_helper.from_array(array, weight.name))


MUTATIONS: tuple[Callable[[ModelProto, random.Random], None], ...] = (
    widen_logits,
    widen_weights,
    resize_state,
    add_time_axis,
    change_block,
    many_states,
    endless,
)
