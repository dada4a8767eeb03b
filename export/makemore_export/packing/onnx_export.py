"""The step as one self-contained ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from makemore.artifact import METADATA_KEY, Artifact
from makemore.fingerprints import FINGERPRINTS_KEY, Fingerprints
from onnxscript import opset20

from makemore_export.models import Blend, Model
from makemore_export.models.model import StepFunction
from makemore_export.packing.int8_weights import store_as_int8
from makemore_export.packing.mixture_graph import DOMAIN, mixture_graph
from makemore_export.packing.step_module import INPUTS, StepModule

OPSET = 20
"""The newest opset that onnxruntime 1.20, the oldest supported, runs in full."""


def to_onnx(
    step: StepModule, artifact: Artifact, fingerprints: Fingerprints | None = None
) -> bytes:
    """The file for any batch size, with the artifact's metadata in `metadata_props`, and the
    fingerprints of its training lines, if any.

    Inputs are `token`, `position` and the names of the states; outputs are `logits` and those names
    with `next_` before them.
    """
    proto = _mixture(step.model) or _exported(step)
    if step.model.is_int8:
        store_as_int8(proto, step.model)
    metadata = {METADATA_KEY: artifact.to_json()}
    if fingerprints is not None:
        metadata[FINGERPRINTS_KEY] = fingerprints.to_text()
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())


def _mixture(model: Model) -> onnx.ModelProto | None:
    """The functions of a blend's components, and one that mixes them; None for another model, and
    where a component has no function.
    """
    if not isinstance(model, Blend):
        return None
    if not all(component.step_function() for component in model.components()):
        return None
    parts = [_exported(StepModule(component)) for component in model.components()]
    return mixture_graph(parts, model.weights.float().numpy(force=True))


def _exported(step: StepModule) -> onnx.ModelProto:
    """The graph of the step, or one call of its function where it has one."""
    states = [spec.name for spec in step.model.states()]
    batch = {0: torch.export.Dim("batch", min=1)}
    variadic = (tuple(batch for _ in states),) if states else ()
    with _quiet():
        program = torch.onnx.export(
            step,
            step.example(rows=2),  # export takes a batch of 1 for a constant
            dynamo=True,
            opset_version=OPSET,
            input_names=[*INPUTS, *states],
            output_names=["logits", *(f"next_{name}" for name in states)],
            dynamic_shapes=(*(batch for _ in INPUTS), *variadic),
            custom_translation_table={torch.ops.aten.index_put.default: _index_put},
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise TypeError("torch.onnx.export gave no program")
    proto = program.model_proto
    _forget_origin(proto)
    function = step.model.step_function()
    return proto if function is None else _as_function(proto, function)


def _as_function(proto: onnx.ModelProto, function: StepFunction) -> onnx.ModelProto:
    """The same model as one node of a model-local function, whose body is the graph of `proto`.

    A runtime with a kernel of that domain and name takes the kernel; any other runs the body. All
    parameters are inputs of the function: the exporter may have merged those of equal values and
    dropped biases of zeros, so the body need not read each. Its other constants go into the body.
    """
    graph = proto.graph
    parameters = {  # named as within a StepModule
        f"model.{name}": weight.numpy(force=True) for name, weight in function.parameters.items()
    }
    inputs = [*(value.name for value in graph.input), *parameters]
    outputs = [value.name for value in graph.output]
    constants = [
        onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in graph.initializer
        if tensor.name not in parameters
    ]
    body = onnx.helper.make_function(
        DOMAIN,
        function.name,
        inputs,
        outputs,
        [*constants, *graph.node],
        proto.opset_import,
        attributes=list(function.attributes),
    )
    node = onnx.helper.make_node(
        function.name, inputs, outputs, domain=DOMAIN, **function.attributes
    )
    weights = [onnx.numpy_helper.from_array(value, name) for name, value in parameters.items()]
    return onnx.helper.make_model(
        onnx.helper.make_graph([node], graph.name, graph.input, graph.output, weights),
        functions=[body],
        opset_imports=[*proto.opset_import, onnx.helper.make_opsetid(DOMAIN, 1)],
        ir_version=proto.ir_version,
        producer_name=proto.producer_name,
        producer_version=proto.producer_version,
    )


def _index_put(self: Any, indices: Sequence[Any], values: Any) -> Any:
    """One ScatterND. The exporter's own translation adds an Expand for indices that may broadcast;
    in a step they are of one shape, (B,), and lead.
    """
    op: Any = opset20  # its type hints refuse traced tensors
    columns = [op.Unsqueeze(index, op.Constant(value_ints=[-1])) for index in indices]
    return op.ScatterND(self, op.Concat(*columns, axis=-1), values)


def _forget_origin(proto: onnx.ModelProto) -> None:
    """Drops what the exporter notes of the source files that it ran through."""
    graph = proto.graph
    values = (*graph.input, *graph.output, *graph.value_info)
    for part in (proto, graph, *graph.node, *values, *graph.initializer, *proto.functions):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of torchvision, which nothing here needs, and of its own internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
