"""Folders of Hugging Face's transformers that hold a `GPT2LMHeadModel`."""

from __future__ import annotations

from typing import Any

import msgspec
from makemore.errors import CheckpointError
from torch import Tensor

from makemore_export.configs.model_configs import Activation
from makemore_export.importers.gpt2 import gpt2
from makemore_export.importers.imported import Given, Imported, notes_of
from makemore_export.importers.tensor_file import TensorFile, take
from makemore_export.importers.tokenizer_json import read_tokens
from makemore_export.models.token_ids import TokenIds

_ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}


def recognises(source: TensorFile) -> bool:
    """Whether the folder's config is that of a model of transformers."""
    return "model_type" in source.header


def read(source: TensorFile, given: Given) -> Imported:
    """A folder's model, with the tokens of its tokenizer unless they are given. `bos_token_id` of
    the config is fed first, and `eos_token_id` ends a string.
    """
    config = source.header
    if config.get("model_type") != "gpt2":
        raise CheckpointError(
            f"{source.file.parent}: is a {config.get('model_type')!r:.60}; gpt2 is what can be read"
        )
    activation = config.get("activation_function", "gelu_new")
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise CheckpointError(f"activation_function is {activation!r:.60}; known are {known}")
    if config.get("add_cross_attention"):
        raise CheckpointError("add_cross_attention is true; a model alone is needed")
    heads = _integer(config, "n_head", 12)
    tensors = _with_prefix(source.tensors)
    vocab_size = take(tensors, "transformer.wte.weight", -1, -1).shape[0]
    if given.tokens is None:
        tokens = read_tokens(source.file.parent, vocab_size)
        start, stop = _special(config, "bos_token_id"), _special(config, "eos_token_id")
    else:
        tokens, start, stop = [*given.tokens], None, None
        if None in tokens:
            start, stop = _special(config, "bos_token_id"), _special(config, "eos_token_id")
    ids = TokenIds.of(tokens, start=start, stop=stop)
    model = gpt2(
        _scaled(tensors, config, heads),
        ids,
        n_head=heads,
        activation=_ACTIVATIONS[activation],
        epsilon=_number(config, "layer_norm_epsilon", 1e-5),
        transposed=True,
    )
    notes = notes_of(ids, vocab_size)
    return Imported(model, "transformer", msgspec.to_builtins(model.config), ids, notes)


def _with_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of GPT2LMHeadModel, also where those of GPT2Model were saved."""
    if "wte.weight" not in tensors:
        return tensors
    return {
        name if name == "lm_head.weight" else f"transformer.{name}": t
        for name, t in tensors.items()
    }


def _scaled(tensors: dict[str, Tensor], config: Any, heads: int) -> dict[str, Tensor]:
    """Weights that give with our scale of the attention, 1 / sqrt(D), what the config's gives."""
    scaled = dict(tensors)
    width = take(tensors, "transformer.wte.weight", -1, -1).shape[1]
    layer = 0
    while f"transformer.h.{layer}.attn.c_attn.weight" in tensors:
        factor = 1.0 if config.get("scale_attn_weights", True) else (width / heads) ** 0.5
        if config.get("scale_attn_by_inverse_layer_idx", False):
            factor /= layer + 1
        for kind in ("weight", "bias"):
            name = f"transformer.h.{layer}.attn.c_attn.{kind}"
            if name not in tensors:
                continue
            scaled[name] = tensors[name].clone()
            scaled[name][..., :width] *= factor  # of the queries
        layer += 1
    return scaled


def _integer(config: Any, name: str, default: int) -> int:
    value = config.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CheckpointError(f"{name} of the config is {value!r:.60}; it must be >= 1")
    return value


def _number(config: Any, name: str, default: float) -> float:
    value = config.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise CheckpointError(f"{name} of the config is {value!r:.60}; it must be >= 0 and < 1")
    return float(value)


def _special(config: Any, name: str) -> int | None:
    value = config.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
