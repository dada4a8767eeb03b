"""State dicts of makemore.py, of all its six kinds: https://github.com/karpathy/makemore."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import torch
from makemore.artifact import StateSpec
from makemore.errors import CheckpointError, OptionError
from torch import Tensor, nn

from makemore_export.importers.gpt2 import gpt2
from makemore_export.importers.imported import Given, Imported
from makemore_export.importers.tensor_file import TensorFile, take
from makemore_export.models import Model, new_model
from makemore_export.models.foreign import StepModel
from makemore_export.models.token_ids import TokenIds

_KINDS = {
    "transformer": "transformer.wte.weight",
    "bow": "context_block.cbow.bias",
    "gru": "cell.xh_to_z.weight",
    "rnn": "cell.xh_to_h.weight",
    "mlp": "mlp.0.weight",
    "bigram": "logits",
}
"""A tensor that each kind alone has, of those not named before it."""


def kind_of(source: TensorFile) -> str | None:
    """The kind of makemore.py's models that the tensors are of."""
    if "model_args" in source.header or "model_type" in source.header:
        return None
    return next((kind for kind, name in _KINDS.items() if name in source.tensors), None)


def recognises(source: TensorFile) -> bool:
    """Whether the tensors have the names of makemore.py."""
    return kind_of(source) is not None


def read(source: TensorFile, given: Given) -> Imported:
    """A checkpoint's model. Token 0 is its start and stop, and the others are the sorted characters
    of its lines.
    """
    kind = kind_of(source)
    if kind is None:
        raise CheckpointError(f"{source.file}: the tensors are of none of makemore.py's models")
    tokens = given.tokens
    if tokens is None:
        if given.lines is None:
            raise OptionError("the file has no tokens: give --text, its names.txt, or --tokens")
        tokens = sorted(set("".join(line.strip() for line in given.lines)))
    ids = TokenIds.of(tokens)
    tensors = source.tensors
    head = {"bigram": "logits", "mlp": "mlp.2.weight"}.get(kind, "lm_head.weight")
    vocab_size = take(tensors, head, -1, -1).shape[0]
    if len(ids.inputs) != vocab_size or not ids.is_ours(vocab_size):
        raise OptionError(
            f"{len(ids.texts)} tokens are given; the model has {vocab_size - 1}, and its start "
            "and stop, which is id 0"
        )
    if kind != "transformer" and given.n_head is not None:
        raise OptionError(f"--n-head is of no use for a {kind}: it has no attention")
    if kind == "transformer":
        heads = given.required_heads("4 by default in makemore.py")
        model: Model = gpt2(tensors, ids, n_head=heads, activation="gelu_tanh")
    else:
        model = _READERS[kind](tensors, vocab_size)
    config = {} if isinstance(model, StepModel) else msgspec.to_builtins(model.config)
    return Imported(model.eval(), kind, config, ids)


def _bigram(tensors: dict[str, Tensor], vocab_size: int) -> Model:
    model = new_model("neural-bigram", {}, vocab_size)
    model.load_state_dict({"logits": take(tensors, "logits", vocab_size, vocab_size)})
    return model


def _bow(tensors: dict[str, Tensor], vocab_size: int) -> Model:
    positions = take(tensors, "wpe.weight", -1, -1)
    hidden = take(tensors, "context_block.mlp.c_fc.bias", -1)
    config = {
        "block_size": positions.shape[0],
        "n_embd": positions.shape[1],
        "n_hidden": hidden.shape[0],
    }
    names = {
        "token_embedding": "wte",
        "position_embedding": "wpe",
        "mlp_up": "context_block.mlp.c_fc",
        "mlp_down": "context_block.mlp.c_proj",
        "head": "lm_head",
    }
    model = new_model("bow", config, vocab_size)
    shapes = {name: weight.shape for name, weight in model.state_dict().items()}
    model.load_state_dict(
        {
            f"{ours}.{kind}": take(tensors, f"{theirs}.{kind}", *shapes[f"{ours}.{kind}"])
            for ours, theirs in names.items()
            for kind in ("weight", "bias")
            if f"{ours}.{kind}" in shapes
        }
    )
    return model


def _mlp(tensors: dict[str, Tensor], vocab_size: int) -> Model:
    """Ours has token 0 in the places before a string, theirs a token of its own, the last.

    A string has token 0 once, as its start, so both come to the same with one more number in each
    embedding: 1 for token 0, else 0. The weights of that number, in each place of the window, add
    what the start there and their own token before it would give, less what ours gives.
    """
    embedding = take(tensors, "wte.weight", vocab_size + 1, -1).double()
    width = embedding.shape[1]
    hidden = take(tensors, "mlp.0.weight", -1, -1).double()
    context = hidden.shape[1] // width
    # Theirs begins with the newest token, ours with the oldest: (H, context, C).
    places = take(tensors, "mlp.0.weight", -1, context * width).double()
    places = places.view(-1, context, width).flip(1)
    start, blank = places @ embedding[0], places @ embedding[-1]  # each (H, context)
    before = torch.cumsum(blank, 1) - blank
    wanted = start + before  # of a start in that place, with what lies before it
    correction = wanted.diff(dim=1, prepend=torch.zeros_like(wanted[:, :1])) - start
    is_start = torch.zeros(vocab_size, 1, dtype=torch.float64)
    is_start[0] = 1
    weights = {
        "embedding.weight": torch.cat([embedding[:vocab_size], is_start], 1),
        "hidden.weight": torch.cat([places, correction[..., None]], 2).flatten(1),
        "hidden.bias": take(tensors, "mlp.0.bias", len(hidden)),
        "head.weight": take(tensors, "mlp.2.weight", vocab_size, len(hidden)),
        "head.bias": take(tensors, "mlp.2.bias", vocab_size),
    }
    config = {"context": context, "n_embd": width + 1, "n_hidden": hidden.shape[0], "dropout": 0.0}
    model = new_model("mlp", config, vocab_size)
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model


class _RNN(nn.Module):
    """A recurrent network with a learned start, one step of it."""

    names: tuple[str, ...] = ("xh_to_h",)

    def __init__(self, tensors: dict[str, Tensor], vocab_size: int) -> None:
        super().__init__()
        self.start = nn.Parameter(take(tensors, "start", 1, -1))
        self.embedding = nn.Parameter(take(tensors, "wte.weight", vocab_size, -1))
        self.head = _linear(tensors, "lm_head", self.start.shape[1], vocab_size)
        inputs, hidden = self.embedding.shape[1] + self.start.shape[1], self.start.shape[1]
        self.gates = nn.ModuleDict(
            {name: _linear(tensors, f"cell.{name}", inputs, hidden) for name in self.names}
        )

    def forward(self, token: Tensor, position: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.where(position[:, None] == 0, self.start, hidden)
        hidden = self.following(self.embedding[token], hidden)
        return self.head(hidden), hidden

    def following(self, x: Tensor, hidden: Tensor) -> Tensor:
        return torch.tanh(self.gates["xh_to_h"](torch.cat([x, hidden], 1)))


class _GRU(_RNN):
    """With the reset gate before the product: Cho et al. (2014), section 2.3."""

    names = ("xh_to_z", "xh_to_r", "xh_to_hbar")

    def following(self, x: Tensor, hidden: Tensor) -> Tensor:
        both = torch.cat([x, hidden], 1)
        reset = torch.sigmoid(self.gates["xh_to_r"](both))
        update = torch.sigmoid(self.gates["xh_to_z"](both))
        new = torch.tanh(self.gates["xh_to_hbar"](torch.cat([x, reset * hidden], 1)))
        return (1 - update) * hidden + update * new


def _recurrent(cls: type[_RNN], tensors: dict[str, Tensor], vocab_size: int) -> Model:
    module = cls(tensors, vocab_size)
    states = [StateSpec(name="hidden", dtype="float32", shape=(module.start.shape[1],))]
    ids = TokenIds.of([None, *map(str, range(1, vocab_size))])  # it numbers tokens as we do
    return StepModel(module, ids, vocab_size, states, None)


def _linear(tensors: dict[str, Tensor], name: str, inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    weight = take(tensors, f"{name}.weight", outputs, inputs)
    layer.load_state_dict({"weight": weight, "bias": take(tensors, f"{name}.bias", outputs)})
    return layer


_READERS: dict[str, Callable[[dict[str, Tensor], int], Model]] = {
    "bigram": _bigram,
    "bow": _bow,
    "mlp": _mlp,
    "rnn": partial(_recurrent, _RNN),
    "gru": partial(_recurrent, _GRU),
}
