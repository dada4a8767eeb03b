"""The n-gram: the next token depends on the last few, as an automaton over those that were seen."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import torch
from makemore.artifact import StateSpec
from makemore.errors import OptionError
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models.model import CountingModel
from makemore_export.models.smoothing import Smoothing, additive

Ints = NDArray[np.int64]

_LARGEST = 1 << 30  # bytes of both tables: a file of ONNX ends at 2 GiB
_DISCOUNTS = np.array([0.5, 1, 1.5])  # as of KenLM --discount_fallback, where the data give none


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
        events = _Events.of(train)
        levels = _levels(events, vocab_size, self.config.order - 1)
        contexts, shorter = levels[-1].rows.stop, levels[-1].first
        if (size := (contexts + shorter) * vocab_size * 4) > _LARGEST:
            raise OptionError(
                f"an n-gram of order {self.config.order} with {contexts:,} contexts of "
                f"{vocab_size:,} tokens takes {size:,} bytes; the limit is {_LARGEST:,}; "
                "take a lower --order, or fewer distinct tokens"
            )
        self.next = torch.from_numpy(_automaton(levels, vocab_size)).to(device)
        states = np.concatenate([np.arange(shorter), levels[-1].suffixes]).astype(np.int32)
        self.state = torch.from_numpy(states).to(device)
        fitted = {}
        if self.config.method == "additive":
            counted, held_out = self._ngrams(train), self._ngrams(dev) if dev else None
            shape = (contexts, vocab_size)
            table, fitted["smoothing"] = additive(counted, held_out, shape, self.config.smoothing)
        else:
            table = _kneser_ney(levels, events, vocab_size)
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


class _Events(NamedTuple):
    """Each token of the training strings, stops included: int64 (E,), string after string."""

    last: Ints  # the token before
    token: Ints
    age: Ints  # tokens since the start token, 0 where that is the one before

    @classmethod
    def of(cls, strings: EncodedStrings) -> _Events:
        pairs = [
            torch.stack([inputs, targets])[:, targets >= 0].cpu().numpy()
            for inputs, targets in strings.batches()
        ]
        last, token = np.concatenate(pairs, axis=1)
        number = np.arange(len(last))
        return cls(last, token, number - np.maximum.accumulate(np.where(last == 0, number, 0)))


class _Level(NamedTuple):
    """The known contexts of one length; their numbers follow those of the shorter ones."""

    first: int  # number of the first
    suffixes: Ints  # (contexts,) each without its oldest token
    edges: Ints  # (contexts,) each without its newest token, times V, plus that token
    at: Ints  # (E,) the one before each event; -1 where the string is too short for one

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self.suffixes))


def _levels(events: _Events, vocab_size: int, longest: int) -> list[_Level]:
    """The known contexts of 0 to `longest` tokens, by length."""
    shorter = _Level(0, np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros_like(events.last))
    levels = [shorter]
    for length in range(1, longest + 1):
        here = np.flatnonzero(events.age >= length - 1)
        keys = shorter.at[here - 1] * vocab_size + events.last[here]
        edges, seen, numbers = np.unique(keys, return_index=True, return_inverse=True)
        at = np.full_like(events.last, -1)
        at[here] = numbers + shorter.rows.stop
        shorter = _Level(shorter.rows.stop, shorter.at[here[seen]], edges, at)
        levels.append(shorter)
    return levels


def _automaton(levels: list[_Level], vocab_size: int) -> NDArray[np.int32]:
    """The longest known context after each but the longest ones and each token: (R * V,).

    That of Aho & Corasick (1975), algorithm 4: where a context has no known extension by a token,
    it goes where its suffix goes; the longest contexts have none, and go as their suffixes go.
    """
    *_, longest = levels
    table = np.zeros((longest.first, vocab_size), np.int32)
    for level in levels[1:]:
        table.reshape(-1)[level.edges] = np.arange(level.rows.start, level.rows.stop)
        if level is not longest:
            table[level.rows] = table[level.suffixes]
    return table.reshape(-1)


def _kneser_ney(levels: list[_Level], events: _Events, vocab_size: int) -> NDArray[np.float32]:
    """Log-probabilities (S, V); those of the empty context are interpolated with uniform ones."""
    table = np.full((levels[-1].rows.stop, vocab_size), 1 / vocab_size, np.float32)
    counted = _adjusted_counts(levels, events, vocab_size)
    for level, (ngrams, counts) in zip(levels, counted, strict=True):
        contexts = ngrams // vocab_size - level.first
        size = len(level.suffixes)
        totals = np.bincount(contexts, weights=counts, minlength=size)
        discounts = _discounts(counts)[np.minimum(counts, 3) - 1]
        left = np.bincount(contexts, weights=discounts, minlength=size) / totals
        table[level.rows] = left[:, None] * table[level.suffixes]
        table.reshape(-1)[ngrams] += (counts - discounts) / totals[contexts]
    return np.log(table, out=table)


def _adjusted_counts(
    levels: list[_Level], events: _Events, vocab_size: int
) -> list[tuple[Ints, Ints]]:
    """For each level its n-grams, as context times V plus token, and their counts.

    Those of the longest contexts, and of contexts that begin with the start token, are counts in
    the strings; others are numbers of distinct tokens that come before the n-gram.
    """
    suffixes = np.concatenate([level.suffixes for level in levels])
    whole = events.age >= len(levels) - 2
    longer = np.zeros(0, np.int64)
    counted = []
    for length, level in reversed([*enumerate(levels)]):
        raw = level.at[whole] * vocab_size + events.token[whole]
        continued = suffixes[longer // vocab_size] * vocab_size + longer % vocab_size
        longer, counts = np.unique(np.concatenate([raw, continued]), return_counts=True)
        counted.append((longer, counts))
        whole = events.age == length - 2
    return counted[::-1]


def _discounts(counts: Ints) -> NDArray[np.float64]:
    """D1, D2 and D3+ from the counts of counts (Chen & Goodman, 1999, section 3)."""
    n = np.bincount(counts, minlength=5)[1:5]
    if n[:3].all():
        i = np.arange(1, 4)
        found: NDArray[np.float64] = i - (i + 1) * n[0] / (n[0] + 2 * n[1]) * n[1:] / n[:3]
        if (found > 0).all():  # or a token could get no probability
            return found
    return _DISCOUNTS
