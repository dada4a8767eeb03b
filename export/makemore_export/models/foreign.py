"""Modules that somebody else wrote, as models."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from makemore.artifact import StateSpec
from makemore.errors import ExportError
from torch import Tensor, nn
from torch.nn import functional as F

from makemore_export.models.model import Model
from makemore_export.models.token_ids import TokenIds


class ForeignModel(Model):
    """A module with ids of its own. It is not of the table: it has no config and is not trained."""

    recipe = None
    inputs: Tensor | None
    outputs: Tensor | None

    def __init__(self, module: nn.Module, ids: TokenIds, vocab_size: int) -> None:
        """vocab_size: the number of the module's own ids."""
        super().__init__()
        self.module = module
        self.our_size, self.own_size = len(ids.inputs), vocab_size
        same = ids.is_ours(vocab_size)
        inputs, outputs = (torch.tensor(each) for each in (ids.inputs, ids.outputs))
        self.register_buffer("inputs", None if same else inputs, persistent=False)
        self.register_buffer("outputs", None if same else outputs, persistent=False)

    def own_ids(self, tokens: Tensor) -> Tensor:
        """The module's ids of our tokens."""
        return tokens if self.inputs is None else self.inputs[tokens]

    def our_logits(self, logits: Tensor) -> Tensor:
        """Logits (..., V) of our tokens from those of the module's ids."""
        return logits if self.outputs is None else logits.index_select(-1, self.outputs)


class StepModel(ForeignModel):
    """Of a module whose forward is a step: `(token, position, *state) -> (logits, *state)`."""

    def __init__(
        self,
        module: nn.Module,
        ids: TokenIds,
        vocab_size: int,
        states: Sequence[StateSpec],
        block_size: int | None,
    ) -> None:
        super().__init__(module, ids, vocab_size)
        self._states = tuple(states)
        self.block_size = block_size

    def states(self) -> tuple[StateSpec, ...]:
        return self._states

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        result = self.module(self.own_ids(token), position, *state)
        tensors = (result,) if isinstance(result, Tensor) else result
        if not isinstance(tensors, list | tuple) or not tensors:
            raise ExportError(f"forward returns {_type_of(result)}; a step returns logits, *state")
        if odd := [each for each in tensors if not isinstance(each, Tensor)]:
            raise ExportError(
                f"forward returns {_type_of(odd[0])} among its results; all must be tensors, each "
                "state by itself"
            )
        logits, *following = tensors
        return (self.our_logits(logits), *following)

    def forward(self, tokens: Tensor) -> Tensor:
        rows, positions = tokens.shape
        state = [
            torch.zeros(rows, *spec.shape, dtype=getattr(torch, spec.dtype), device=tokens.device)
            for spec in self._states
        ]
        each = []
        for position in range(positions):
            token = tokens[:, position]
            logits, *state = self.step(token, torch.full_like(token, position), *state)
            each.append(logits.float())
        return torch.stack(each, 1)


class SequenceModel(ForeignModel):
    """Of a module whose forward takes whole strings: `tokens (B, T) -> logits (B, T, V)`.

    Its state is the window of all tokens so far, which each step gives to the module again: what
    comes after a position is zeros, which a causal module does not see.
    """

    block_size: int

    def __init__(self, module: nn.Module, ids: TokenIds, vocab_size: int, block_size: int) -> None:
        super().__init__(module, ids, vocab_size)
        self.block_size = block_size

    def states(self) -> tuple[StateSpec, ...]:
        return (StateSpec(name="tokens", dtype="int64", shape=(self.block_size,), time_axis=0),)

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        slot = (torch.arange(token.shape[0], device=token.device), position)
        window = state[0].index_put(slot, self.own_ids(token))
        logits = self._logits(window)  # (B, T, V)
        return (self.our_logits(logits[slot]), window)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = tokens.shape[1]
        window = F.pad(self.own_ids(tokens), (0, self.block_size - positions))
        return self.our_logits(self._logits(window)[:, :positions]).float()

    def _logits(self, window: Tensor) -> Tensor:
        logits = self.module(window)
        if not isinstance(logits, Tensor):
            raise ExportError(
                f"forward returns {_type_of(logits)}; a sequence module returns logits "
                "(B, T, V); a step module needs its states"
            )
        return logits


def _type_of(result: object) -> str:
    return type(result).__name__
