"""Tensors from a file that a stranger may have made: no code of it is run."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch
from makemore.errors import CheckpointError
from safetensors import SafetensorError, safe_open
from torch import Tensor

_STATE_DICTS = ("model", "state_dict", "model_state_dict")
"""Keys under which programs save a state dict beside other things."""

_GLOBAL = re.compile(r"GLOBAL (\S{1,100})")
"""What a pickle asks for, in the message that refuses it."""

_PREFIXES = ("_orig_mod.", "module.")
"""What torch.compile and DistributedDataParallel put before each name."""


class TensorFile(NamedTuple):
    """`tensors` by name, numbers as float32; `header`: what else the file holds, or a config."""

    tensors: dict[str, Tensor]
    header: Mapping[str, Any]
    file: Path


def read_tensors(source: Path) -> TensorFile:
    """Of a file of `torch.save`, a safetensors file, or a folder of Hugging Face's form.

    `CheckpointError` for what is none of these, or holds more than tensors and plain values.
    """
    if source.is_dir():
        file = source / "model.safetensors"
        if not file.is_file():
            raise CheckpointError(f"{source}: holds no model.safetensors")
        return TensorFile(_safetensors(file), read_json(source / "config.json"), file)
    if source.suffix == ".safetensors":
        return TensorFile(_safetensors(source), {}, source)
    return _torch_file(source)


def _safetensors(file: Path) -> dict[str, Tensor]:
    try:
        with safe_open(file, "pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: not a readable safetensors file: {error}") from None
    return _cleaned(tensors, file)


def read_json(file: Path) -> Mapping[str, Any]:
    """The object in a file of JSON; `CheckpointError` where it holds none."""
    try:
        found = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"{file}: not readable as JSON: {error}") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{file}: is no JSON object")
    return found


def _torch_file(file: Path) -> TensorFile:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that it may not read
            found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = _GLOBAL.search(str(error))
        what = f"asks for {asked[1]}" if asked else "is not one of torch.save"
        raise CheckpointError(
            f"{file}: the pickle {what}, and only tensors and plain values are read: no code of a "
            "file is run; save the state_dict() alone"
        ) from None
    except Exception as error:  # a broken file raises whatever its parts do
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{file}: not a readable file of torch.save: {reason}") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{file}: holds {type(found).__name__}; a state dict is needed")
    inner = next((found[k] for k in _STATE_DICTS if isinstance(found.get(k), dict)), None)
    header = {} if inner is None else {k: v for k, v in found.items() if v is not inner}
    return TensorFile(_cleaned(found if inner is None else inner, file), header, file)


def _cleaned(found: Mapping[Any, Any], file: Path) -> dict[str, Tensor]:
    tensors = {}
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{file}: {str(name)!r:.80} is {type(value).__name__}; a state dict holds tensors"
            )
        if not _is_plain(value):
            raise CheckpointError(f"{file}: tensor {name!r:.80} is not one of plain numbers")
        short = name
        for prefix in _PREFIXES:
            short = short.removeprefix(prefix)
        tensors[short] = value.detach().float()
    if not tensors:
        raise CheckpointError(f"{file}: holds no tensors")
    return tensors


def _is_plain(value: Tensor) -> bool:
    """Whether the file holds every number of a tensor itself, and all of them are real."""
    odd = value.is_nested or value.is_quantized or value.is_complex()
    if odd or value.layout is not torch.strided or value.device.type != "cpu":
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def take(tensors: Mapping[str, Tensor], name: str, *shape: int) -> Tensor:
    """A tensor by name and shape, where -1 is any size; `CheckpointError` for another one."""
    found = tensors.get(name)
    if found is None:
        raise CheckpointError(f"tensor {name!r} is missing; there are {_listed(tensors)}")
    fits = found.dim() == len(shape) and all(
        size > 0 and wanted in (-1, size) for wanted, size in zip(shape, found.shape, strict=True)
    )
    if not fits:
        wanted = [size if size >= 0 else "any" for size in shape]
        raise CheckpointError(f"tensor {name!r} is {list(found.shape)}; {wanted} is needed")
    return found


def _listed(tensors: Mapping[str, Tensor]) -> str:
    names = sorted(tensors)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
