"""The options of the family of models, without PyTorch: a line in this table for each model."""

from __future__ import annotations

import msgspec

from makemore_export.configs.blend import BlendConfig, ModelSpec
from makemore_export.configs.model_configs import (
    BigramConfig,
    BoWConfig,
    CNNConfig,
    GRUConfig,
    MLPConfig,
    ModelConfig,
    NeuralBigramConfig,
    NgramConfig,
    RecurrentConfig,
    RNNConfig,
    TransformerConfig,
)
from makemore_export.configs.recipe import Recipe

CONFIGS: dict[str, type[ModelConfig]] = {
    "bigram": BigramConfig,
    "ngram": NgramConfig,
    "neural-bigram": NeuralBigramConfig,
    "mlp": MLPConfig,
    "bow": BoWConfig,
    "cnn": CNNConfig,
    "rnn": RNNConfig,
    "lstm": RecurrentConfig,
    "gru": GRUConfig,
    "transformer": TransformerConfig,
    "blend": BlendConfig,
}

for _config in CONFIGS.values():
    # At import: msgspec looks up the types of a struct at their first use, without a lock.
    msgspec.json.Decoder(_config)


__all__ = ["CONFIGS", "BlendConfig", "ModelConfig", "ModelSpec", "Recipe"]
