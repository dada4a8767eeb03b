"""Writes a transformer of random weights as an artifact: `python tests/fused_artifact.py`.

What it writes, `tests/artifacts/fused/`, is committed: the tests of the runtime need no exporter.
"""

from __future__ import annotations

import torch
from makemore_export.models.transformer import Transformer, TransformerConfig
from makemore_export.packing.onnx_export import to_onnx
from makemore_export.packing.step_module import StepModule
from tiny_artifacts import FOLDER, metadata

CONFIG = TransformerConfig(block_size=8, n_layer=2, n_embd=16, n_head=2)
CHARACTERS = tuple("abcd")


def random_transformer(config: TransformerConfig, vocab_size: int) -> Transformer:
    """One whose every parameter matters: as they begin, norms are alike and biases are zero."""
    torch.manual_seed(1)
    model = Transformer(config, vocab_size).eval()
    for name, parameter in model.named_parameters():
        centre = float("ln" in name and name.endswith("weight"))
        torch.nn.init.normal_(parameter, centre, parameter.shape[-1] ** -0.5)
    return model


def build() -> bytes:
    model = random_transformer(CONFIG, 1 + len(CHARACTERS))
    artifact = metadata(
        CHARACTERS,
        name="transformer",
        max_length=CONFIG.block_size - 1,
        block_size=CONFIG.block_size,
        states=model.states(),
    )
    return to_onnx(StepModule(model), artifact)


if __name__ == "__main__":
    (FOLDER / "fused").mkdir(exist_ok=True)
    (FOLDER / "fused" / "model.onnx").write_bytes(build())
