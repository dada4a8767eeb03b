"""Mutations of the fields of protobuf messages: what one parser may read and another not."""

from __future__ import annotations

import random

VARINT, BYTES = 0, 2
SIZES = {1: 8, 5: 4}  # of the other wire types
Field = tuple[int, int, bytes]  # number, wire type, and its value as it lies in the file

# The fields of messages of onnx.proto that are messages, which are looked into.
MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "input"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor"},
    "input": {2: "type"},
    "type": {1: "tensor type"},
}


def change_field(data: bytearray, rng: random.Random) -> None:
    """A field somewhere in the file is there twice, of another kind, or has more bits."""
    data[:] = _changed(bytes(data), "model", rng)


def mark_as_own_format(data: bytearray, rng: random.Random) -> None:
    """Bytes 4 to 7 are those by which ONNX Runtime knows its own format."""
    if rng.random() < 0.5:
        data[:0] = b"\x7a\x06xxORTM"  # a field that a model does not have
    else:
        data[4:8] = b"ORTM"


def _changed(message: bytes, kind: str, rng: random.Random) -> bytes:
    fields = _fields(message)
    inner = MESSAGES.get(kind, {})
    chosen = rng.randrange(len(fields))
    number, wire, value = fields[chosen]
    if number in inner and value[1:] and rng.random() < 0.9:
        fields[chosen] = (number, wire, _delimited(_changed(_content(value), inner[number], rng)))
    else:
        _change(fields, chosen, rng)
    return b"".join(varint(number << 3 | wire) + value for number, wire, value in fields)


def _change(fields: list[Field], chosen: int, rng: random.Random) -> None:
    number, wire, value = fields[chosen]
    choice = rng.randrange(4)
    if choice == 0:  # twice, maybe as another one of its kind
        others = [field[2] for field in fields if field[1] == wire]
        fields.insert(rng.randrange(len(fields) + 1), (number, wire, rng.choice(others)))
    elif choice == 1:  # a number as a list, a list as a number
        other = _delimited(value) if wire == VARINT else varint(rng.choice((0, 1, 7, 2**64 - 1)))
        fields.insert(
            chosen + rng.randrange(2), (number, BYTES if wire == VARINT else VARINT, other)
        )
    elif choice == 2 and wire == VARINT:
        number_read, _ = _varint_at(value, 0)
        fields[chosen] = (number, wire, varint(number_read + 2 ** rng.choice((31, 32, 33, 63))))
    else:
        fields.append(fields.pop(chosen))


def _fields(message: bytes) -> list[Field]:
    """The fields of a message; raises LookupError where it has none."""
    fields, at = [], 0
    while at < len(message):
        tag, begin = _varint_at(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            _, at = _varint_at(message, begin)
        elif wire == BYTES:
            size, at = _varint_at(message, begin)
            at += size
        else:
            at = begin + SIZES[wire]
        fields.append((number, wire, message[begin:at]))
    if not fields:
        raise LookupError
    return fields


def _content(delimited: bytes) -> bytes:
    _, begin = _varint_at(delimited, 0)
    return delimited[begin:]


def _delimited(value: bytes) -> bytes:
    return varint(len(value)) + value


def _varint_at(message: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def varint(value: int) -> bytes:
    """A number as protobuf writes it, in seven bits to a byte."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(0x80 | (value & 0x7F))
        value >>= 7
    return bytes([*encoded, value])


MUTATIONS = (change_field, change_field, change_field, mark_as_own_format)
