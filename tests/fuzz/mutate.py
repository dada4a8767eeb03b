"""Mutant number `seed` of an artifact: the same bytes each time, whatever came before.

What a mutant is made by: mostly one mutation, sometimes up to four, of any kind:

- `byte_mutations`: bytes changed, lost, repeated and moved;
- `field_mutations`: fields of protobuf messages that parsers read differently;
- `metadata_mutations`: the JSON inside the file;
- `graph_mutations`, `tensor_mutations`: what ONNX knows of;
- `lies`: several places of the file changed so that they agree;
- `bombs`: what takes memory or time without end, and what no step has business with.
"""

from __future__ import annotations

import random

import bombs
import byte_mutations
import field_mutations
import graph_mutations
import lies
import metadata_mutations
import onnx
import tensor_mutations

KINDS = ("bytes", "metadata", "graph", "tensors", "lies", "bombs")
WEIGHTS = (2, 4, 5, 4, 4, 2)
OF_MODEL = {
    "graph": graph_mutations.MUTATIONS,
    "tensors": tensor_mutations.MUTATIONS,
    "lies": lies.MUTATIONS,
    "bombs": bombs.MUTATIONS,
}
# What a mutation raises where the artifact, or what an earlier mutation left of it, has nothing for
# it to change.
NOTHING_TO_CHANGE = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    StopIteration,
    RecursionError,
    OverflowError,
)


def mutant(data: bytes, seed: int) -> bytes:
    """One mutant of an artifact."""
    return described(data, seed)[0]


def described(data: bytes, seed: int) -> tuple[bytes, str]:
    """One mutant of an artifact, and the names of its mutations."""
    rng = random.Random(seed)
    kinds = rng.choices(KINDS, WEIGHTS, k=rng.choice((1, 1, 1, 2, 2, 3, 4)))
    model = onnx.load_from_string(data)
    names = [_change(model, kind, rng) for kind in kinds if kind != "bytes"]
    changed = bytearray(model.SerializeToString())
    if "bytes" in kinds or not any(names):
        mutation = rng.choice(byte_mutations.MUTATIONS + field_mutations.MUTATIONS)
        mutation(changed, rng)
        names.append(mutation.__name__)
    return bytes(changed), " ".join(filter(None, names))


def _change(model: onnx.ModelProto, kind: str, rng: random.Random) -> str:
    """Changes the model; the mutation's name, "" where there was nothing for it to change."""
    try:
        if kind == "metadata":
            prop = next(prop for prop in model.metadata_props if prop.key == lies.KEY)
            prop.value = metadata_mutations.mutate(prop.value, rng)
            return "metadata"
        mutation = rng.choice(OF_MODEL[kind])
        mutation(model, rng)
    except NOTHING_TO_CHANGE:
        return ""
    return mutation.__name__
