"""The family of models: a file in this folder, a line in this table, and its options in
`makemore_export.configs`.
"""

from __future__ import annotations

from makemore_export.models.bigram import Bigram
from makemore_export.models.blend import Blend
from makemore_export.models.bow import BoW
from makemore_export.models.cnn import CNN
from makemore_export.models.mlp import MLP
from makemore_export.models.model import CountingModel, Model
from makemore_export.models.neural_bigram import NeuralBigram
from makemore_export.models.ngram import Ngram
from makemore_export.models.recurrent import GRU, LSTM, RNN
from makemore_export.models.registry import MODELS, new_model
from makemore_export.models.transformer import Transformer

MODELS.update(
    {
        "bigram": Bigram,
        "ngram": Ngram,
        "neural-bigram": NeuralBigram,
        "mlp": MLP,
        "bow": BoW,
        "cnn": CNN,
        "rnn": RNN,
        "lstm": LSTM,
        "gru": GRU,
        "transformer": Transformer,
        "blend": Blend,
    }
)

__all__ = ["MODELS", "Blend", "CountingModel", "Model", "new_model"]
