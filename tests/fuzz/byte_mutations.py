"""Mutations that know nothing of the format: bytes changed, lost, repeated and moved."""

from __future__ import annotations

import random

from field_mutations import varint


def flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def set_bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def drop_slice(data: bytearray, rng: random.Random) -> None:
    begin = rng.randrange(len(data))
    del data[begin : begin + _length(rng)]


def repeat_slice(data: bytearray, rng: random.Random) -> None:
    begin = rng.randrange(len(data))
    part = data[begin : begin + _length(rng)]
    at = rng.randrange(len(data))
    data[at:at] = part * rng.choice((1, 2, 50))


def move_slice(data: bytearray, rng: random.Random) -> None:
    begin = rng.randrange(len(data))
    part = data[begin : begin + _length(rng)]
    at = rng.randrange(len(data))
    data[at : at + len(part)] = part


def insert_noise(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(_length(rng))


def grow_varint(data: bytearray, rng: random.Random) -> None:
    """A length or number of protobuf becomes the largest that fits."""
    at = rng.randrange(len(data))
    data[at : at + 1] = b"\xff" * rng.randrange(1, 10) + b"\x01"


def nest_graphs(data: bytearray, rng: random.Random) -> None:
    """Graphs in attributes of nodes of graphs, deeper than protobuf's limit of 100 messages."""
    graph = b""
    for _ in range(rng.choice((32, 33, 34, 100, 2000))):
        for field in (6, 5, 1):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            graph = bytes([field << 3 | 2]) + varint(len(graph)) + graph
    data += bytes([7 << 3 | 2]) + varint(len(graph)) + graph  # ModelProto.graph, merged


def _length(rng: random.Random) -> int:
    return rng.choice((1, 2, 4, 8, 16, 100, 1000))


MUTATIONS = (
    flip_bits,
    set_bytes,
    truncate,
    drop_slice,
    repeat_slice,
    move_slice,
    insert_noise,
    grow_varint,
    nest_graphs,
)
