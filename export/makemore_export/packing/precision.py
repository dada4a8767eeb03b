"""A model with the weights that its artifact stores: float32, float16, or matrices in int8."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
from makemore.artifact import Precision
from makemore.errors import OptionError
from torch import Tensor, nn

from makemore_export.models import Model

_LARGEST = 127  # of an int8, whose least one, -128, is not used
_SCALE_BITS = 16  # of the 24 of a float32: a product with an int8 is exact, and gives it back


def in_precision(model: Model, precision: Precision) -> Model:
    """The model as an artifact of that precision has it: itself in float32, else a copy.

    int8: each matrix that a step multiplies with is rounded, row by row, to whole multiples of the
    row's `scales`; all else, and all arithmetic, stays float32. `OptionError` where it has none.
    """
    if precision == "float32":
        return model
    copied = deepcopy(model)
    if precision == "float16":
        return copied.half()
    if not any(matrices(copied)):
        raise OptionError("precision int8 is for models with matrices, and this has none")
    with torch.no_grad():
        for _, weight in matrices(copied):
            numbers, scales = quantized(weight)
            weight.copy_(numbers * scales[:, None])
    copied.is_int8 = True
    return copied


def matrices(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name and value of the weights (outputs, inputs) that a step multiplies with: those of linear
    and recurrent layers. Embeddings and tables are looked up, and are none.
    """
    for path, layer in module.named_modules():
        if isinstance(layer, nn.Linear | nn.RNNBase):
            for name, weight in layer.named_parameters(path, recurse=False):
                if weight.dim() == 2:
                    yield name, weight


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -127 to 127 (outputs, inputs), as float32, and the scale (outputs,) of
    each row, so that their products are nearest to the weight.

    Symmetric, a scale for each output: Jacob et al., "Quantization and Training of Neural Networks
    for Efficient Integer-Arithmetic-Only Inference" (2018), section 2.1, with a zero point of 0. Of
    products of these it gives the same numbers and scales again, exactly.
    """
    fraction, exponent = torch.frexp(weight.detach().abs().amax(1) / _LARGEST)
    step = 2.0**_SCALE_BITS
    scales = torch.ldexp((fraction * step).round() / step, exponent)
    scales = torch.where(scales > 0, scales, 1.0)
    numbers = (weight.detach() / scales[:, None]).round()
    return numbers.clamp(-_LARGEST, _LARGEST), scales
