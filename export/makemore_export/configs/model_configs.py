"""The options of each model: its sizes, and how it is trained where they leave it open.

They are apart from the models, which need PyTorch: it takes seconds to import.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from makemore.errors import OptionError
from msgspec import Meta

from makemore_export.configs.recipe import Recipe

# The description of a field is what `mm-train --help` shows of its option.
_SIZE = Meta(ge=1, le=1 << 20)

Layers = Annotated[int, Meta(ge=1, le=1000, description="Layers.")]
EmbeddingWidth = Annotated[int, _SIZE, Meta(description="Width of the embedding.")]
HiddenWidth = Annotated[int, _SIZE, Meta(description="Width of the hidden layer.")]
BlockSize = Annotated[
    int, _SIZE, Meta(description="Positions that the model knows.  [default: longest line + 1]")
]
DropoutRate = Annotated[
    float, Meta(ge=0, lt=1, description="Share of activations dropped in training.")
]
"""Of values that training sets to 0, at random."""
Smoothing = Annotated[
    float, Meta(ge=0, le=1e6, description="Added to each count.  [default: the best on dev]")
]
"""The k of `additive`; a million outweighs all counts."""
Activation = Literal["gelu_tanh", "gelu", "relu", "silu", "tanh"]


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes and options of a model: its fields are options of `mm-train`."""

    recipe: ClassVar[Recipe | None] = Recipe()
    """How it is trained where the options leave it open; None for a model without gradients."""

    is_lookup: ClassVar[bool] = False
    """Whether a step looks its logits up in a table, and multiplies no matrices."""


class BigramConfig(ModelConfig, frozen=True, kw_only=True):
    """`smoothing` is the k of `additive`."""

    recipe: ClassVar[Recipe | None] = None
    is_lookup: ClassVar[bool] = True

    smoothing: Smoothing | None = None


class NgramConfig(ModelConfig, frozen=True, kw_only=True):
    """`order` n: n - 1 tokens are what the next depends on. `smoothing` is the k of `additive`."""

    recipe: ClassVar[Recipe | None] = None
    is_lookup: ClassVar[bool] = True

    order: Annotated[int, Meta(ge=2, le=6, description="Characters that the n-gram spans.")] = 6
    method: Annotated[
        Literal["kneser-ney", "additive"], Meta(description="How the n-gram smooths its counts.")
    ] = "kneser-ney"
    smoothing: Smoothing | None = None

    def __post_init__(self) -> None:
        if self.method == "kneser-ney" and self.smoothing is not None:
            raise OptionError(
                f"smoothing {self.smoothing:g} is for method additive; kneser-ney takes none"
            )


class NeuralBigramConfig(ModelConfig, frozen=True, kw_only=True):
    """`l2` times the mean square of the logits is added to the loss: what pulls them to 0 pulls
    the probabilities to uniform, as smoothing does with counts.
    """

    recipe: ClassVar[Recipe | None] = Recipe(max_steps=2000, learning_rate=0.1, weight_decay=0.0)
    is_lookup: ClassVar[bool] = True

    l2: Annotated[
        float, Meta(ge=0, description="Weight of the mean squared weight in the loss.")
    ] = 1e-3


class MLPConfig(ModelConfig, frozen=True, kw_only=True):
    """`context` is the number of tokens in the window; `direct` adds connections from their
    embeddings to the logits that bypass the hidden layer.
    """

    recipe: ClassVar[Recipe | None] = Recipe(learning_rate=8e-3, weight_decay=0.01)

    context: Annotated[int, Meta(ge=2, le=1 << 16, description="Characters that the MLP sees.")] = 8
    n_embd: EmbeddingWidth = 32
    n_hidden: HiddenWidth = 400
    direct: Annotated[bool, Meta(description="Connect the MLP's embeddings to its output.")] = False
    dropout: DropoutRate = 0.1


class BoWConfig(ModelConfig, frozen=True, kw_only=True):
    """`block_size` is the number of positions: the longest string, and the start token."""

    recipe: ClassVar[Recipe | None] = Recipe(learning_rate=1e-2, weight_decay=0.01)

    block_size: BlockSize
    n_embd: EmbeddingWidth = 64
    n_hidden: HiddenWidth = 256


class CNNConfig(ModelConfig, frozen=True, kw_only=True):
    """`n_embd` is the number of residual channels, `n_hidden` of skip channels; with `n_layer` up
    to 10 a prediction sees the last 2 ** n_layer tokens.
    """

    recipe: ClassVar[Recipe | None] = Recipe(learning_rate=8e-3)

    n_layer: Layers = 4
    n_embd: EmbeddingWidth = 64
    n_hidden: HiddenWidth = 128
    dropout: DropoutRate = 0.15


class RecurrentConfig(ModelConfig, frozen=True, kw_only=True):
    """`dropout` acts on the embedding, between layers and before the head (Zaremba et al., 2014,
    "Recurrent Neural Network Regularization").
    """

    recipe: ClassVar[Recipe | None] = Recipe(
        max_steps=10_000, batch_size=32, learning_rate=8e-3, weight_decay=0.08
    )

    n_layer: Layers = 1
    n_embd: EmbeddingWidth = 64
    n_hidden: HiddenWidth = 256
    dropout: DropoutRate = 0.2


class RNNConfig(RecurrentConfig, frozen=True, kw_only=True):
    """The plain cell overfits less than the gated ones, and needs less dropout."""

    recipe: ClassVar[Recipe | None] = Recipe(weight_decay=0.01)

    dropout: DropoutRate = 0.1


class GRUConfig(RecurrentConfig, frozen=True, kw_only=True):
    """Decays less than an LSTM, and drops a little more in its place."""

    recipe: ClassVar[Recipe | None] = Recipe(
        max_steps=14_000, batch_size=32, learning_rate=2e-3, weight_decay=0.01
    )

    dropout: DropoutRate = 0.25


class TransformerConfig(ModelConfig, frozen=True, kw_only=True):
    """`block_size` is the number of positions: the longest string, and the start token."""

    recipe: ClassVar[Recipe | None] = Recipe(max_steps=26_000, learning_rate=6e-3)

    block_size: BlockSize
    n_layer: Layers = 4
    n_embd: EmbeddingWidth = 64
    n_head: Annotated[int, Meta(ge=1, le=1 << 20, description="Heads of the attention.")] = 4
    mlp_width: (
        Annotated[
            int, Meta(ge=1, le=1 << 22, description="Hidden layer.  [default: 4 times the width]")
        ]
        | None
    ) = None
    activation: Annotated[Activation, Meta(description="Of the hidden layer.")] = "gelu_tanh"
    head_bias: Annotated[bool, Meta(description="Give the head a bias.")] = False
    epsilon: Annotated[
        float, Meta(ge=0, lt=1, description="Added to the variance by LayerNorm.")
    ] = 1e-5
    dropout: DropoutRate = 0.2

    @property
    def hidden(self) -> int:
        """Width of the hidden layer of each block's perceptron."""
        return self.mlp_width or 4 * self.n_embd

    def __post_init__(self) -> None:
        if self.n_embd % self.n_head:
            raise OptionError(f"n_embd {self.n_embd} is not a multiple of n_head {self.n_head}")
