"""What every model of the family offers: a forward for training, a step for sampling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from makemore.artifact import Precision, StateSpec
from torch import Tensor, nn

from makemore_export.configs import ModelConfig
from makemore_export.data.encoded_strings import EncodedStrings


class StepFunction(NamedTuple):
    """The ONNX function that a model's step is exported as, for runtimes with a kernel of its name.

    Its inputs are those of the step, then `parameters`: by the name of each within the model.
    """

    name: str
    parameters: dict[str, Tensor]
    attributes: dict[str, Any]

    @classmethod
    def of(cls, name: str, model: nn.Module, *parameters: str) -> StepFunction:
        """Without attributes, of the model's parameters and buffers of these names."""
        weights = dict(model.named_parameters()) | dict(model.named_buffers())
        return cls(name, {key: weights[key] for key in parameters}, {})


class Model(nn.Module, ABC):
    """A language model over strings of tokens, written as a state machine.

    Built from its `Config` and the number of tokens V. `forward` sees whole strings, `step` one
    token of each; at every position both give the same logits.
    """

    Config: ClassVar[type[ModelConfig]]
    """Its line in the table of `makemore_export.configs`."""

    config: Any
    block_size: int | None
    """Positions that the model knows, or None where any position will do."""

    is_int8: bool = False
    """Whether its matrices are whole multiples of a scale for each row, and are stored so."""

    @property
    def precision(self) -> Precision:
        """That of its weights as an artifact stores them."""
        return "int8" if self.is_int8 else self.arithmetic

    @property
    def arithmetic(self) -> Literal["float32", "float16"]:
        """What it calculates in, which `half` changes, and its states are of."""
        weights = self.state_dict().values()
        return "float16" if any(w.dtype == torch.float16 for w in weights) else "float32"

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) of the token after each of `tokens`, int64 (B, T)."""

    @abstractmethod
    def states(self) -> tuple[StateSpec, ...]:
        """The state tensors of `step`, in order."""

    @abstractmethod
    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One position of each row: token and position int64 (B,), a state of zeros at position 0.

        Returns logits (B, V), then the next state in the order of `states`.
        """

    def components(self) -> Sequence[Model]:
        """The models that this one is a mixture of, in order; none for most."""
        return ()

    def step_function(self) -> StepFunction | None:
        """That of the step with the present weights, folded or not. None: the nodes of the step are
        exported as they are.
        """
        return None

    def fold(self) -> None:
        """Computes beforehand, from the present weights, what every `step` would compute."""

    def fault(self) -> str | None:
        """What is wrong with loaded weights that have the right shapes: `name: reason`."""
        return None

    def expected_bytes(self, train: EncodedStrings) -> int:  # noqa: ARG002
        """About what the weights will take, trained on those strings, in a file."""
        return sum(weight.nbytes for weight in self.state_dict().values())

    def penalty(self) -> Tensor | float:
        """What training adds to the mean loss, a scalar."""
        return 0.0


class CountingModel(Model):
    """A model that is fitted in one pass over the data, without gradients."""

    @abstractmethod
    def fit(self, train: EncodedStrings, dev: EncodedStrings | None) -> dict[str, Any]:
        """Counts `train`; returns the options that it chose for itself on `dev`, by name."""


FEW_TOKENS = 256
"""Up to so many tokens, the product of a layer with each embedding is computed beforehand. For more
the table of products would be large, while one product in a step costs the same."""


def uniform_head(width: int, vocab_size: int, *, bias: bool = True) -> nn.Linear:
    """A last layer of zeros: an untrained model expects all tokens alike, with a loss of ln V."""
    head = nn.Linear(width, vocab_size, bias=bias)
    for weight in head.parameters():
        nn.init.zeros_(weight)
    return head
