"""Mutations of the weights: their shape, type and values against what the graph declares."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numbers_pool
import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

LARGEST = 1 << 18  # elements of a weight made larger


def _weight(model: ModelProto, rng: random.Random) -> TensorProto:
    return rng.choice(model.graph.initializer)


def array_of(weight: TensorProto) -> np.ndarray:
    """Its values; `ValueError` where it has none in the file, so that no other file is read."""
    if weight.data_location == TensorProto.EXTERNAL:
        raise ValueError(f"{weight.name} lies in another file")
    return numpy_helper.to_array(weight)


def set_dims(model: ModelProto, rng: random.Random) -> None:
    """Declares another shape over the same bytes."""
    weight = _weight(model, rng)
    if rng.random() < 0.3:
        weight.dims.append(numbers_pool.integer(rng))
    elif weight.dims:
        weight.dims[rng.randrange(len(weight.dims))] = numbers_pool.integer(rng)


def overflow_dims(model: ModelProto, rng: random.Random) -> None:
    """A shape whose product of sizes wraps to the true number of elements."""
    weight = _weight(model, rng)
    half = rng.choice((2**32, 2**31, 2**62))
    weight.dims[:] = rng.choice(
        ([half, half, 4], [half, 2**64 // half // 2, 2], [-1, -1], [2**62, 4])
    )


def transpose_dims(model: ModelProto, rng: random.Random) -> None:
    weight = _weight(model, rng)
    weight.dims[:] = [*weight.dims][::-1]


def set_data_type(model: ModelProto, rng: random.Random) -> None:
    _weight(model, rng).data_type = rng.choice((*range(24), -1, 10_000))


def cut_data(model: ModelProto, rng: random.Random) -> None:
    """Fewer or more bytes than the shape asks for."""
    weight = _weight(model, rng)
    data = weight.raw_data
    if rng.random() < 0.7:
        weight.raw_data = data[: rng.randrange(len(data) + 1)]
    else:
        weight.raw_data = data + data[: rng.randrange(1, 64)]


def resize(model: ModelProto, rng: random.Random) -> None:
    """A weight with other sizes, sound in itself."""
    weight = _weight(model, rng)
    array = array_of(weight)
    shape = list(array.shape) or [1]
    shape[rng.randrange(len(shape))] = abs(rng.choice(numbers_pool.SIZES))
    if 0 < np.prod(shape, dtype=float) <= LARGEST:
        array = np.resize(array, shape)
        weight.CopyFrom(numpy_helper.from_array(array, weight.name))


def odd_values(model: ModelProto, rng: random.Random) -> None:
    """Some or all values become ones at an edge: NaN, infinities, or indices out of range."""
    weight = _weight(model, rng)
    array = array_of(weight).copy()
    flat = array.reshape(-1)
    count = rng.choice((1, 1, len(flat)))
    places = [rng.randrange(len(flat)) for _ in range(min(count, 50))]
    for place in places if count == 1 else [slice(None)]:
        flat[place] = _value(array.dtype, rng)
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))


def _value(dtype: np.dtype, rng: random.Random) -> float | int:
    if dtype.kind == "f":
        value, largest = numbers_pool.real(rng), float(np.finfo(dtype).max)
        return value if not abs(value) > largest else math.copysign(math.inf, value)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return min(max(numbers_pool.integer(rng), limits.min), limits.max)
    return rng.random() < 0.5


def external(model: ModelProto, rng: random.Random) -> None:
    """Data that lies in another file."""
    weight = _weight(model, rng)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    places = ("model.onnx", "/etc/passwd", "../../../etc/passwd", "/dev/zero", "missing", "", ".")
    weight.external_data.add(key="location", value=rng.choice(places))
    if rng.random() < 0.7:
        weight.external_data.add(key="offset", value=str(numbers_pool.integer(rng)))
        weight.external_data.add(key="length", value=str(numbers_pool.integer(rng)))


def typed_data(model: ModelProto, rng: random.Random) -> None:
    """Values in a typed field too, or instead of the bytes."""
    weight = _weight(model, rng)
    if rng.random() < 0.5:
        weight.ClearField("raw_data")
    weight.float_data.extend([1.0] * rng.choice((1, 16, 1000)))
    weight.int64_data.extend([numbers_pool.integer(rng)] * rng.choice((0, 1, 16)))


def drop_weight(model: ModelProto, rng: random.Random) -> None:
    del model.graph.initializer[rng.randrange(len(model.graph.initializer))]


def twice(model: ModelProto, rng: random.Random) -> None:
    weight = _weight(model, rng)
    model.graph.initializer.add().CopyFrom(weight)


def sparse(model: ModelProto, rng: random.Random) -> None:
    """A sparse weight whose indices leave it."""
    weight = _weight(model, rng)
    array = array_of(weight).reshape(-1)[:4]
    made = model.graph.sparse_initializer.add()
    made.values.CopyFrom(numpy_helper.from_array(array.astype(np.float32), weight.name))
    indices = np.array([numbers_pool.integer(rng) for _ in array], np.int64)
    made.indices.CopyFrom(numpy_helper.from_array(indices, "indices"))
    made.dims.extend(weight.dims)
    if rng.random() < 0.8:
        model.graph.initializer.remove(weight)


MUTATIONS: tuple[Callable[[ModelProto, random.Random], None], ...] = (
    set_dims,
    overflow_dims,
    transpose_dims,
    set_data_type,
    cut_data,
    resize,
    odd_values,
    odd_values,
    external,
    typed_data,
    drop_weight,
    twice,
    sparse,
)
