"""The n-gram: the next token depends on the last few, as an automaton over those that were seen."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import torch
from makemore.artifact import StateSpec
from makemore.errors import OptionError
from msgspec import Meta
from torch import Tensor

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models.contexts import Events, Ints, automaton, known_contexts
from makemore_export.models.kneser_ney import kneser_ney
from makemore_export.models.model import CountingModel
from makemore_export.models.smoothing import Smoothing, additive

_LARGEST = 1 << 30  # bytes of both tables: a file of ONNX ends at 2 GiB


class NgramConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`order` n: n - 1 tokens are what the next depends on. `smoothing` is the k of `additive`."""

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


class Ngram(CountingModel):
    """P(w | h), h the last n - 1 tokens, or all since the start token where those are fewer.

    kneser-ney: modified and interpolated (Chen & Goodman, 1999, "An empirical study of smoothing
    techniques for language modeling", section 3). additive: see `additive`.

    A context is known if a training string has it; `logits` (S, V) are the log-probabilities after
    each, the empty one first. The state is the longest known suffix, of at most n - 2 tokens, of
    the tokens so far: one of R contexts. `next` (R * V,) is the longest known one, of up to n - 1
    tokens, after each of those and each token; `state` (S,) the state that a context leaves.
    """

    Config = NgramConfig
    block_size = None
    logits: Tensor
    next: Tensor
    state: Tensor

    def __init__(self, config: NgramConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.register_buffer("logits", torch.zeros(1, vocab_size))
        self.register_buffer("next", torch.zeros(vocab_size, dtype=torch.int32))
        self.register_buffer("state", torch.zeros(1, dtype=torch.int32))
        self.register_load_state_dict_pre_hook(_resize)  # type: ignore[no-untyped-call]

    def fit(self, train: EncodedStrings, dev: EncodedStrings | None) -> dict[str, Any]:
        """`OptionError` where more contexts are known than fit in 1 GiB."""
        vocab_size, device = self.logits.shape[1], self.logits.device
        events = Events.of(train)
        levels = known_contexts(events, vocab_size, self.config.order - 1)
        contexts, shorter = levels[-1].rows.stop, levels[-1].first
        if (size := (contexts + shorter) * vocab_size * 4) > _LARGEST:
            raise OptionError(
                f"an n-gram of order {self.config.order} with {contexts:,} contexts of "
                f"{vocab_size:,} tokens takes {size:,} bytes; the limit is {_LARGEST:,}; "
                "take a lower --order, or fewer distinct tokens"
            )
        self.next = torch.from_numpy(automaton(levels, vocab_size)).to(device)
        states = np.concatenate([np.arange(shorter), levels[-1].suffixes]).astype(np.int32)
        self.state = torch.from_numpy(states).to(device)
        fitted = {}
        if self.config.method == "additive":
            counted, held_out = self._ngrams(train), self._ngrams(dev) if dev else None
            shape = (contexts, vocab_size)
            table, fitted["smoothing"] = additive(counted, held_out, shape, self.config.smoothing)
        else:
            table = kneser_ney(levels, events, vocab_size)
        self.logits = torch.from_numpy(table).to(device)
        return fitted

    def fault(self) -> str | None:
        vocab_size = self.vocab_size
        shapes = [table.dim() for table in (self.logits, self.next, self.state)]
        if shapes != [2, 1, 1] or self.logits.shape[1] != vocab_size:
            return f"logits: {list(self.logits.shape)}, not (contexts, {vocab_size})"
        contexts, edges, states = len(self.logits), len(self.next), len(self.state)
        if states != contexts or edges % vocab_size or not 0 < edges <= contexts * vocab_size:
            return f"next: {edges} edges and {states} states for {contexts} contexts"
        if not 0 <= int(self.next.min()) <= int(self.next.max()) < contexts:
            return f"next: leads to a context beyond the {contexts}"
        if not 0 <= int(self.state.min()) <= int(self.state.max()) < edges // vocab_size:
            return f"state: one that is none of the {edges // vocab_size}"
        return None

    def _ngrams(self, strings: EncodedStrings) -> Ints:
        """Each token of `strings`, stops included, as its context times V plus itself."""
        ngrams = []
        for inputs, targets in strings.batches():
            keys = self._contexts(inputs) * self.logits.shape[1] + targets
            ngrams.append(keys[targets >= 0].cpu().numpy())
        return np.concatenate(ngrams)

    def _contexts(self, tokens: Tensor) -> Tensor:
        """The longest known context after each of `tokens`: int64 (B, T)."""
        state = torch.zeros_like(tokens[:, 0])  # (B,)
        contexts = []
        for token in tokens.unbind(1):
            context, state = self._after(state, token)
            contexts.append(context)
        return torch.stack(contexts, 1).long()

    def _after(self, state: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        """The context, int32 (B,), and the state, int64 (B,), after `state` and `token` (B,)."""
        # One Gather of ONNX; two indices would be a GatherND, which CUDA lacks for int32.
        edge = state * self.logits.shape[1] + token
        context = self.next.index_select(0, edge)
        return context, self.state.index_select(0, context).long()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits[self._contexts(tokens)]  # (B, T, V)

    def states(self) -> tuple[StateSpec, ...]:
        return (StateSpec(name="context", dtype="int64", shape=()),)

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        context, after = self._after(state[0], token)
        return self.logits.index_select(0, context), after  # (B, V), (B,)


def _resize(model: Ngram, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """How many contexts there are is known from the weights only."""
    for name in ("logits", "next", "state"):
        if (weight := weights.get(prefix + name)) is not None:
            setattr(model, name, torch.empty_like(weight, device=model.logits.device))
