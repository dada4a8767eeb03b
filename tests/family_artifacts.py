"""Writes small models of the family, of random weights: `python tests/family_artifacts.py`.

What it writes, `tests/artifacts/family/`, is committed: the tests of the runtime need no exporter.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any
from unittest import mock

import numpy as np
import torch
from makemore.vocabulary import Vocabulary
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models import CountingModel, Model, counted, new_model
from makemore_export.packing.onnx_export import to_onnx
from makemore_export.packing.precision import in_precision
from makemore_export.packing.step_module import StepModule
from tiny_artifacts import FOLDER, metadata

CHARACTERS = tuple("abcd")
VOCAB = 1 + len(CHARACTERS)
BLOCK = 8

LSTM = {"n_layer": 2, "n_embd": 3, "n_hidden": 17}
NGRAM = {"order": 3}
TRANSFORMER = {"block_size": BLOCK, "n_layer": 2, "n_embd": 8, "n_head": 2}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("rnn", {"n_layer": 2, "n_embd": 3, "n_hidden": 70}),
    "lstm": ("lstm", LSTM),
    "gru": ("gru", {"n_layer": 2, "n_embd": 3, "n_hidden": 17}),
    "mlp": ("mlp", {"context": 3, "n_embd": 3, "n_hidden": 19}),
    "direct": ("mlp", {"context": 3, "n_embd": 3, "n_hidden": 19, "direct": True}),
    "cnn": ("cnn", {"n_layer": 3, "n_embd": 5, "n_hidden": 19}),
    "bow": ("bow", {"n_embd": 5, "n_hidden": 19, "block_size": BLOCK}),
    "neural-bigram": ("neural-bigram", {}),
    "ngram": ("ngram", NGRAM),
    "sparse": ("ngram", {"order": 4}),
    "sparse-blend": (
        "blend",
        {
            "parts": [
                {"model": "gru", "config": {"n_embd": 3, "n_hidden": 5}},
                {"model": "ngram", "config": {"order": 3, "method": "additive", "smoothing": 0.1}},
            ]
        },
    ),
    "attention": (
        "blend",
        {
            "parts": [
                {"model": "gru", "config": {"n_embd": 3, "n_hidden": 5}},
                {"model": "transformer", "config": TRANSFORMER},
            ]
        },
    ),
    "blend": (
        "blend",
        {
            "parts": [
                {"model": "lstm", "config": LSTM},
                {"model": "ngram", "config": NGRAM},
                {"model": "lstm", "config": {"n_embd": 3, "n_hidden": 5}},
            ]
        },
    ),
}


def random_model(name: str, config: dict[str, Any], vocab_size: int = VOCAB) -> Model:
    """One whose every parameter matters; n-grams have counted some random strings."""
    torch.manual_seed(1)
    model = new_model(name, config, vocab_size).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, parameter.shape[-1] ** -0.5)
    rng = np.random.default_rng(1)
    characters = tuple(chr(97 + i) for i in range(vocab_size - 1))
    lines = ["".join(rng.choice(characters, size)) for size in rng.integers(1, 9, 40)]
    for each in (model, *model.components()):
        if isinstance(each, CountingModel):
            each.fit(EncodedStrings(lines, Vocabulary(characters)), None)
    return model


HALVES = ("rnn", "lstm", "gru", "direct", "cnn", "bow", "attention", "blend")
"""Of these there is one in float16, too: `half-` and the name."""

INT8 = ("rnn", "lstm", "gru", "direct", "cnn", "bow", "attention", "blend")
"""Of these there is one with matrices in int8: `int8-` and the name."""


def build(name: str) -> bytes:
    """N-grams are sparse where the name says so, with a dense row of the empty context alone."""
    limits = {"_DENSE": 0, "_DENSE_OF_SPARSE": 0} if name.startswith("sparse") else {}
    with mock.patch.multiple(counted, **limits) if limits else nullcontext():
        model = random_model(*MODELS[name.removeprefix("half-").removeprefix("int8-")])
    if name.startswith("half-"):
        model = model.half()
    if name.startswith("int8-"):
        model = in_precision(model, "int8")
    artifact = metadata(
        CHARACTERS,
        name=name,
        max_length=BLOCK - 1,
        block_size=model.block_size,
        states=model.states(),
    )
    return to_onnx(StepModule(model), artifact)


if __name__ == "__main__":
    for name in (*MODELS, *(f"half-{name}" for name in HALVES), *(f"int8-{name}" for name in INT8)):
        (FOLDER / "family" / name).mkdir(parents=True, exist_ok=True)
        (FOLDER / "family" / name / "model.onnx").write_bytes(build(name))
