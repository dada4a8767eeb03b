"""Checkpoints of nanoGPT, `ckpt.pt`, at the level of characters: https://github.com/karpathy/nanoGPT."""

from __future__ import annotations

import msgspec
from makemore.errors import CheckpointError, OptionError

from makemore_export.importers.gpt2 import gpt2
from makemore_export.importers.imported import Given, Imported, notes_of
from makemore_export.importers.tensor_file import TensorFile, take
from makemore_export.models.token_ids import TokenIds

_LINE_END = "\n"


def recognises(source: TensorFile) -> bool:
    """Whether the file has the `model_args` of nanoGPT."""
    return isinstance(source.header.get("model_args"), dict)


def read(source: TensorFile, given: Given) -> Imported:
    """A checkpoint's model, which goes from line to line. The line's end is our start and stop, so
    that it makes lines.
    """
    sizes = source.header.get("model_args")
    heads = sizes.get("n_head") if isinstance(sizes, dict) else None
    if not isinstance(heads, int) or isinstance(heads, bool):
        raise CheckpointError(f"{source.file}: has no number n_head in its model_args")
    tokens = given.tokens
    if tokens is None:
        if given.whole is None:
            raise OptionError(
                "the file has no tokens: give --text, the input.txt that it was trained on, or "
                "--tokens, the list itos of its meta.pkl as JSON"
            )
        tokens = sorted(set(given.whole))
    if tokens.count(None) == 1:
        ids = TokenIds.of(tokens)
    elif _LINE_END in tokens:
        ids = TokenIds.of(tokens, start=[*tokens].index(_LINE_END))
    else:
        raise OptionError("no token is a line end, which would start and stop lines")
    rows = take(source.tensors, "transformer.wte.weight", -1, -1).shape[0]
    model = gpt2(source.tensors, ids, n_head=heads, activation="gelu")
    config = msgspec.to_builtins(model.config)
    return Imported(model, "transformer", config, ids, notes_of(ids, rows))
