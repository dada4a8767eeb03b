"""Tries models of one operator each: `python tests/fuzz/operators.py --models 100000`.

Every operator that a file may hold (csrc/onnx/operators.cpp) gets random inputs, attributes and
outputs, some of which ONNX does not allow. ONNX Runtime checks few of them before it computes, so
what it crashes on must be refused before. Models are tried by the hundreds in a process, which is
forked again after each crash. Prints the operator and the number of each model that ends a process,
takes over two seconds, or raises what is no error of `makemore.errors`; exits with 1 if there is
any. `--only NUMBER` prints a model, and tries it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import cases
import lies
import makemore
import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

OPERATORS = Path(__file__).parents[2] / "csrc" / "onnx" / "operators.cpp"
OPSETS = (13, 17, 18, 20, 20, 20)
TYPES = {
    TensorProto.FLOAT: np.float32,
    TensorProto.INT64: np.int64,
    TensorProto.INT32: np.int32,
    TensorProto.BOOL: np.bool_,
    TensorProto.FLOAT16: np.float16,
    TensorProto.DOUBLE: np.float64,
    TensorProto.UINT8: np.uint8,
    TensorProto.INT8: np.int8,
}
INTEGERS = (0, 1, -1, 2, 3, -2, 7, 8, -8, 100, 5000, 2**31 - 1, -(2**31), 2**32, 2**62, -(2**63))
FLOATS = (0.0, 1.0, -1.0, 0.5, 3.0, 1e30, -1e30, float("nan"), float("inf"))
TEXTS = {
    "equation": ("ij,jk->ik", "i,i->", "ii->i", "...i->...", "i,j->ij", "", "->", "abcdefgh,a->b"),
    "mode": ("constant", "reflect", "edge", "wrap"),
    "direction": ("forward", "reverse", "bidirectional"),
    "auto_pad": ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"),
    "reduction": ("none", "add", "mul", "max", "min"),
    "approximate": ("none", "tanh"),
    "activations": ("Sigmoid", "Tanh", "Relu", "Affine", "HardSigmoid"),
}
_SLOW = 2.0  # seconds
_METADATA = json.dumps(cases.metadata())


@cache
def operators() -> dict[str, dict[int, onnx.defs.OpSchema]]:
    """Each operator that a file may hold, by the opsets that changed it."""
    listed = OPERATORS.read_text().partition("kKnown")[2].partition("is_sorted")[0]
    known = set(re.findall(r'"(\w+)"', listed))
    found: dict[str, dict[int, onnx.defs.OpSchema]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.name in known and schema.since_version <= max(OPSETS):
            found.setdefault(schema.name, {})[schema.since_version] = schema
    return dict(sorted(found.items()))


def tensor(rng: random.Random) -> onnx.TensorProto:
    """A small tensor of any type, of numbers at the edges of what there is."""
    kind = rng.choice([TensorProto.FLOAT, TensorProto.INT64, *TYPES])
    shape = [rng.choice((0, 1, 1, 2, 3, 4)) for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 4)))]
    pool = INTEGERS if kind in (TensorProto.INT64, TensorProto.INT32) else FLOATS
    if rng.random() < 0.4:
        pool = (0, 1, 2, 3, -1)
    values = np.array([rng.choice(pool) for _ in range(int(np.prod(shape)))])
    with np.errstate(all="ignore"):
        return numpy_helper.from_array(values.astype(TYPES[kind]).reshape(shape))


def attribute(name: str, kind: onnx.defs.OpSchema.AttrType, rng: random.Random) -> object:
    """A value for an attribute, None for a kind that is not tried."""
    kinds = onnx.defs.OpSchema.AttrType
    numbers = {"axis": range(-8, 9), "batch_dims": range(9), "to": range(1, 17)}
    integers = numbers.get(name, (0, 1, 1, 2, 3, 4, -1, -8, 7, 100, 2**31 - 1))
    texts = TEXTS.get(name, ("x", ""))
    if kind == kinds.TENSOR:
        return tensor(rng)
    pools = {kinds.INT: integers, kinds.FLOAT: FLOATS, kinds.STRING: texts}
    if kind in pools:
        return rng.choice(pools[kind])
    lists = {kinds.INTS: integers, kinds.FLOATS: FLOATS, kinds.STRINGS: texts}
    if kind in lists:
        return [rng.choice(lists[kind]) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4)))]
    return None


def model(number: int) -> tuple[str, ModelProto]:
    """The name of an operator, and a model whose logits need it computed."""
    rng = random.Random(number)
    name, versions = rng.choice(list(operators().items()))
    opset = max(rng.choice(OPSETS), min(versions))
    schema = versions[max(version for version in versions if version <= opset)]
    constants, inputs, nodes = [], [], []
    for i in range(rng.randint(schema.min_input, min(max(schema.max_input, schema.min_input), 8))):
        source = rng.random()
        if source < 0.75:
            constants.append(tensor(rng))
            constants[-1].name = f"constant_{i}"
            inputs.append(constants[-1].name)
        else:
            inputs.append(rng.choice(("token", "rows", "", *inputs[-1:])))
        if rng.random() < 0.1 and inputs[-1]:  # not known before it runs
            nodes.append(helper.make_node("Identity", [inputs[-1]], [f"hidden_{i}"]))
            inputs[-1] = f"hidden_{i}"
    most = min(max(schema.max_output, 1), 4)
    outputs = [f"output_{i}" for i in range(rng.randint(max(schema.min_output, 1), most))]
    if rng.random() < 0.1:
        outputs = [rng.choice((output, "")) for output in outputs]
    values = {
        key: attribute(key, spec.type, rng)
        for key, spec in schema.attributes.items()
        if spec.required or rng.random() < 0.5
    }
    if name == "Constant":  # exactly one
        values = dict(rng.sample(list(values.items()), k=min(len(values), 1)))
    values = {key: value for key, value in values.items() if value is not None}
    nodes.append(helper.make_node(name, inputs, outputs, **values))
    return name, _as_step(nodes, [output for output in outputs if output], constants, opset)


def _as_step(
    nodes: list[onnx.NodeProto],
    outputs: list[str],
    constants: list[onnx.TensorProto],
    opset: int,
) -> ModelProto:
    """A bigram whose logits hang on the shapes of `outputs`, times zero."""
    logits = "rows"
    for i, output in enumerate(outputs):
        names = [f"shape_{i}", f"floats_{i}", f"sum_{i}", f"nothing_{i}", f"logits_{i}"]
        nodes += [
            helper.make_node("Shape", [output], names[:1]),
            helper.make_node("Cast", names[:1], names[1:2], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", names[1:2], names[2:3], keepdims=0),
            helper.make_node("Mul", [names[2], "zero"], names[3:4]),
            helper.make_node("Add", [logits, names[3]], names[4:5]),
        ]
        logits = names[4]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "token"], ["rows"]),
            *nodes,
            helper.make_node("Identity", [logits], ["logits"]),
        ],
        "step",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["B"])
            for name in ("token", "position")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 4])],
        [
            *constants,
            numpy_helper.from_array(cases.TABLE.astype(np.float32), "table"),
            numpy_helper.from_array(np.float32(0), "zero"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(made, {lies.KEY: _METADATA})
    return made


def attempt(number: int) -> str:
    """What became of a model; a message that begins with "FINDING" where it should not have."""
    try:
        name, made = model(number)
    except (ValueError, TypeError, OverflowError):
        return "not made"  # `onnx` refuses to write it
    began = time.monotonic()
    try:
        makemore.load(made.SerializeToString(), threads=1).sample(3, seed=1)
        kind = "runs"
    except makemore.MakemoreError as error:
        kind = type(error).__name__
    except Exception as error:  # what is found
        return f"FINDING {name} {number}: {type(error).__name__}: {error}"
    seconds = time.monotonic() - began
    return f"FINDING {name} {number}: {seconds:.1f} s" if seconds > _SLOW else kind


def attempt_all(numbers: Iterable[int]) -> dict[str, int]:
    """How often each outcome came, and each finding."""
    counts: dict[str, int] = {}
    left = list(numbers)
    while left:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            with os.fdopen(write, "w", buffering=1) as out:
                for number in left:
                    print(number, file=out)
                    print(attempt(number), file=out)
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as lines:
            reported = lines.read().splitlines()
        _, status = os.waitpid(pid, 0)
        for outcome in reported[1::2]:
            counts[outcome] = counts.get(outcome, 0) + 1
        if os.waitstatus_to_exitcode(status) != 0:
            number = int(reported[-1])
            name = model(number)[0]
            code = os.waitstatus_to_exitcode(status)
            counts[f"FINDING {name} {number}: exit code {code}"] = 1
        left = left[(len(reported) + 1) // 2 :]
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=2000, help="How many.")
    parser.add_argument("--first", type=int, default=0, help="Number of the first.")
    parser.add_argument("--only", type=int, help="Number of one model to print and to try.")
    options = parser.parse_args()
    if options.only is not None:
        print(onnx.printer.to_text(model(options.only)[1]), flush=True)
        counts = attempt_all([options.only])
    else:
        counts = attempt_all(range(options.first, options.first + options.models))
    for outcome, count in sorted(counts.items()):
        print(f"{count:8,}  {outcome}")
    return 1 if any(outcome.startswith("FINDING") for outcome in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
