"""Whether what a checkpoint holds fits together: a file from elsewhere may hold anything."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from makemore.errors import CheckpointError, MakemoreError
from torch import Tensor

from makemore_export.configs import Recipe
from makemore_export.models import Model
from makemore_export.runs.run import Run
from makemore_export.runs.run_check import shortened

_OPTIMIZER_KEYS = {"adamw": {"exp_avg", "exp_avg_sq", "step"}, "sgd": {"momentum_buffer"}}


def check_run(run: Run) -> Model:
    """A model of the run's sizes, without memory; `CheckpointError` if no model can be of them."""
    try:
        with torch.device("meta"):
            model = run.new_model()
    except (MakemoreError, ValueError, RuntimeError, OverflowError, RecursionError) as error:
        raise CheckpointError(shortened(f"run: {error}")) from None
    most = None if model.block_size is None else model.block_size - 1 - bool(run.labels)
    if most is not None and run.max_length > most:
        raise CheckpointError(
            f"run.max_length is {run.max_length}; a block of {model.block_size} holds {most}"
        )
    return model


def check_weights(model: Model, weights: Mapping[str, Tensor]) -> None:
    """Gives the model of `check_run` its weights; `CheckpointError` if they are those of another.

    The model takes the tensors themselves: nothing is copied.
    """
    for name, expected in model.state_dict().items():
        found = weights.get(name)
        if found is not None and found.dtype != expected.dtype:
            raise CheckpointError(
                f"tensor model.{name} is {found.dtype}; the model has {expected.dtype}"
            )
    try:
        model.load_state_dict(dict(weights), assign=True)
    except RuntimeError as error:
        _, _, reason = str(error).partition("\n")
        raise CheckpointError(shortened(f"tensors do not fit the model: {reason}")) from None
    if fault := model.fault():
        raise CheckpointError(f"tensor model.{fault}")


def check_optimizer(
    model: Model, recipe: Recipe, optimizer: Mapping[str, Tensor], average: Mapping[str, Tensor]
) -> None:
    """`CheckpointError` unless both are empty, or hold what the recipe has for each parameter."""
    parameters = dict(model.named_parameters())
    if optimizer:
        keys = _OPTIMIZER_KEYS[recipe.optimizer]
        shapes = {
            f"{name}.{key}": torch.Size() if key == "step" else weight.shape
            for name, weight in parameters.items()
            for key in keys
        }
        _check_shapes("optimizer", optimizer, shapes)
    if average:
        _check_shapes("average", average, {name: w.shape for name, w in parameters.items()})


def _check_shapes(kind: str, found: Mapping[str, Tensor], wanted: Mapping[str, torch.Size]) -> None:
    if odd := found.keys() ^ wanted.keys():
        name = min(odd)
        reason = "is missing" if name in wanted else "belongs to no parameter of the model"
        raise CheckpointError(shortened(f"tensor {kind}.{name} {reason}"))
    for name, tensor in found.items():
        if tensor.shape != wanted[name] or tensor.dtype != torch.float32:
            raise CheckpointError(
                f"tensor {kind}.{name} is {tensor.dtype} of shape {list(tensor.shape)}; "
                f"torch.float32 of {list(wanted[name])} is needed"
            )
