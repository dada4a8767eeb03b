"""What every model of the family offers: a forward for training, a step for sampling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec
from makemore.artifact import StateSpec
from torch import Tensor, nn


class Model(nn.Module, ABC):
    """A language model over strings of tokens, written as a state machine.

    Built from its `Config` and the number of tokens V. `forward` sees whole strings, `step` one
    token of each; at every position both give the same logits.
    """

    Config: ClassVar[type[msgspec.Struct]]
    """Sizes and options of the model: frozen, its fields are the options of `mm-train`."""

    config: Any
    block_size: int | None
    """Positions that the model knows, or None where any position will do."""

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """Logits float32 (B, T, V) of the token after each of `tokens`, int64 (B, T)."""

    @abstractmethod
    def states(self) -> tuple[StateSpec, ...]:
        """The state tensors of `step`, in order."""

    @abstractmethod
    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One position of each row: token and position int64 (B,), a state of zeros at position 0.

        Returns logits float32 (B, V), then the next state in the order of `states`.
        """


class CountingModel(Model):
    """A model that is fitted in one pass over the data, without gradients."""

    @abstractmethod
    def count(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fits to the inputs and targets of `batches`, int64 (B, T); targets < 0 are padding."""
