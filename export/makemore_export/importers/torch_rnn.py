"""State dicts of an embedding, an `nn.RNN`, `nn.GRU` or `nn.LSTM`, and a linear head."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import torch
from makemore.errors import CheckpointError, OptionError
from torch import Tensor

from makemore_export.importers.imported import Given, Imported, check_size
from makemore_export.importers.tensor_file import TensorFile, take
from makemore_export.models import new_model
from makemore_export.models.token_ids import TokenIds

_FIRST = "weight_ih_l0"
_KINDS = {1: "rnn", 3: "gru", 4: "lstm"}
"""By how many times the hidden units the gates have."""


def recognises(source: TensorFile) -> bool:
    """Whether there is one recurrent stack with the names of PyTorch."""
    return sum(name.endswith(_FIRST) for name in source.tensors) == 1


def read(source: TensorFile, given: Given) -> Imported:
    """A checkpoint's model. Its "embedding", "rnn" and "head" are told by their shapes, unless
    `given.names` has them. A state begins as zeros, and an RNN's activation is tanh.
    """
    tensors = source.tensors
    if given.tokens is None:
        raise OptionError("the file has no tokens: give --tokens")
    stack = given.names["rnn"] if "rnn" in given.names else _stack(tensors)
    rnn = {
        name.removeprefix(f"{stack}.") if stack else name: tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{stack}." if stack else ("weight_", "bias_"))
    }
    if odd := [name for name in rnn if "reverse" in name or "_hr_" in name]:
        raise CheckpointError(
            f"tensor {odd[0]!r}: a stack of one direction without projections is read"
        )
    gates, width = take(rnn, _FIRST, -1, -1).shape
    hidden = take(rnn, "weight_hh_l0", gates, -1).shape[1]
    kind = _KINDS.get(gates // hidden)
    if kind is None or gates % hidden:
        raise CheckpointError(
            f"{gates} gates of {hidden} hidden units are none of an RNN, GRU or LSTM"
        )
    embedding = given.names.get("embedding") or _told(tensors, stack, width, "embedding", "head")
    head = given.names.get("head") or _told(tensors, stack, hidden, "head", "embedding", embedding)
    table = take(tensors, f"{embedding}.weight", -1, width)
    vocab_size = table.shape[0]
    ids = TokenIds.of(given.tokens)
    check_size(ids, vocab_size)
    layers = sum(name.startswith("weight_ih_l") for name in rnn)
    config = {"n_layer": layers, "n_embd": width, "n_hidden": hidden, "dropout": 0.0}
    weights = {
        "embedding.weight": table[ids.inputs],
        "head.weight": take(tensors, f"{head}.weight", vocab_size, hidden)[ids.outputs],
        "head.bias": _bias(tensors, f"{head}.bias", vocab_size)[ids.outputs],
    }
    for layer in range(layers):
        inputs = width if layer == 0 else hidden
        weights[f"layers.weight_ih_l{layer}"] = take(rnn, f"weight_ih_l{layer}", gates, inputs)
        weights[f"layers.weight_hh_l{layer}"] = take(rnn, f"weight_hh_l{layer}", gates, hidden)
        for side in ("ih", "hh"):
            weights[f"layers.bias_{side}_l{layer}"] = _bias(rnn, f"bias_{side}_l{layer}", gates)
    model = new_model(kind, config, len(ids.inputs))
    model.load_state_dict(weights)
    return Imported(model.eval(), kind, msgspec.to_builtins(model.config), ids)


def _bias(tensors: Mapping[str, Tensor], name: str, size: int) -> Tensor:
    return take(tensors, name, size) if name in tensors else torch.zeros(size)


def _stack(tensors: Mapping[str, Tensor]) -> str:
    found = [name for name in tensors if name.endswith(_FIRST)]
    if len(found) != 1:
        raise CheckpointError(f"there are {len(found)} recurrent stacks; name one: --map rnn=NAME")
    return found[0].removesuffix(_FIRST).removesuffix(".")


def _told(
    tensors: Mapping[str, Tensor], stack: str, width: int, what: str, other: str, taken: str = ""
) -> str:
    """The only module beside the stack whose weight is as wide as that of `what` is."""
    names = [
        name.removesuffix(".weight")
        for name, tensor in tensors.items()
        if name.endswith(".weight") and tensor.dim() == 2 and tensor.shape[1] == width
    ]
    found = [name for name in names if name != taken and not name.startswith(f"{stack}.")]
    if what == "embedding":  # a head has a bias, if one of the two has
        found = [name for name in found if f"{name}.bias" not in tensors] or found
    if len(found) != 1:
        raise CheckpointError(
            f"{len(found)} modules may be the {what}: {', '.join(found) or 'none'}; name it, and "
            f"the {other}: --map {what}=NAME"
        )
    return found[0]
