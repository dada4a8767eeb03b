"""The tensors of a GPT-2, as all programs name them, in our transformer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import torch
from makemore.errors import CheckpointError
from torch import Tensor

from makemore_export.configs.model_configs import Activation, TransformerConfig
from makemore_export.importers.imported import check_size
from makemore_export.importers.tensor_file import take
from makemore_export.models.token_ids import TokenIds
from makemore_export.models.transformer import Transformer

MAX_POSITIONS = 8192
"""Most positions of a GPT-2 that is read: a step's mask has the square of it."""

_LINEAR = {
    "attn.c_attn": "attention",
    "attn.c_proj": "projection",
    "mlp.c_fc": "mlp_up",
    "mlp.c_proj": "mlp_down",
}


def gpt2(
    tensors: Mapping[str, Tensor],
    ids: TokenIds,
    *,
    n_head: int,
    activation: Activation,
    epsilon: float = 1e-5,
    transposed: bool = False,
) -> Transformer:
    """A transformer with the weights of a GPT-2; `CheckpointError` where they do not fit together.

    transposed: weights are (inputs, outputs), as in the Conv1D of transformers. A bias that is not
    there is zeros, and a head that is not there is the token embedding, which may be padded.
    `OptionError` where `ids` are not those of it.
    """
    tokens = take(tensors, "transformer.wte.weight", -1, -1)
    vocab_size, width = tokens.shape
    positions = take(tensors, "transformer.wpe.weight", -1, width)
    head = tokens
    if "lm_head.weight" in tensors:
        head = take(tensors, "lm_head.weight", vocab_size, width)
    layers = 0
    while f"transformer.h.{layers}.ln_1.weight" in tensors:
        layers += 1
    if layers == 0:
        raise CheckpointError("tensor 'transformer.h.0.ln_1.weight' is missing")
    first = "transformer.h.0.mlp.c_fc.weight"
    mlp_width = take(tensors, first, -1, -1).shape[1 if transposed else 0]
    check_size(ids, vocab_size, padded=True)
    if n_head < 1 or width % n_head:
        raise CheckpointError(f"n_head is {n_head}; it must divide the width, {width}")
    if positions.shape[0] > MAX_POSITIONS:
        raise CheckpointError(
            f"the model knows {positions.shape[0]:,} positions; {MAX_POSITIONS:,} is the limit"
        )
    fields = {
        "block_size": positions.shape[0],
        "n_layer": layers,
        "n_embd": width,
        "n_head": n_head,
        "mlp_width": mlp_width,
        "activation": activation,
        "head_bias": "lm_head.bias" in tensors,
        "epsilon": epsilon,
        "dropout": 0.0,
    }
    config = msgspec.convert(fields, TransformerConfig)

    def bias(name: str, size: int) -> Tensor:
        return take(tensors, name, size) if name in tensors else torch.zeros(size)

    weights = {
        "token_embedding.weight": tokens[ids.inputs],
        "position_embedding.weight": positions,
        "ln.weight": take(tensors, "transformer.ln_f.weight", width),
        "ln.bias": bias("transformer.ln_f.bias", width),
        "head.weight": head[ids.outputs],
    }
    if config.head_bias:
        weights["head.bias"] = take(tensors, "lm_head.bias", vocab_size)[ids.outputs]
    sizes = {
        "attn.c_attn": (3 * width, width),
        "attn.c_proj": (width, width),
        "mlp.c_fc": (mlp_width, width),
        "mlp.c_proj": (width, mlp_width),
    }
    for layer in range(layers):
        for norm in ("ln_1", "ln_2"):
            name = f"transformer.h.{layer}.{norm}"
            weights[f"blocks.{layer}.{norm}.weight"] = take(tensors, f"{name}.weight", width)
            weights[f"blocks.{layer}.{norm}.bias"] = bias(f"{name}.bias", width)
        for theirs, ours in _LINEAR.items():
            name = f"transformer.h.{layer}.{theirs}"
            outputs, inputs = sizes[theirs]
            shape = (inputs, outputs) if transposed else (outputs, inputs)
            weight = take(tensors, f"{name}.weight", *shape)
            weights[f"blocks.{layer}.{ours}.weight"] = weight.T if transposed else weight
            weights[f"blocks.{layer}.{ours}.bias"] = bias(f"{name}.bias", outputs)
    model = Transformer(config, len(ids.inputs))
    model.load_state_dict(weights)
    return model.eval()
