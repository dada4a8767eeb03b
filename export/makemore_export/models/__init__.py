"""The family of models. A new one is a file in this folder and a line in this table."""

from __future__ import annotations

from makemore_export.models.bigram import Bigram
from makemore_export.models.model import CountingModel, Model
from makemore_export.models.transformer import Transformer

MODELS: dict[str, type[Model]] = {
    "bigram": Bigram,
    "transformer": Transformer,
}

__all__ = ["MODELS", "CountingModel", "Model"]
