"""The n-gram: the next token depends on the last few, as an automaton over those that were seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any, cast

import numpy as np
import torch
from makemore.artifact import StateSpec
from makemore.errors import OptionError
from torch import Tensor, nn

from makemore_export.configs.model_configs import NgramConfig
from makemore_export.data.counting import Ints, count_distinct
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models.counted import Counted
from makemore_export.models.kneser_ney import kneser_ney
from makemore_export.models.model import CountingModel, StepFunction
from makemore_export.models.smoothing import additive
from makemore_export.models.sparse_level import SparseLevel

_LARGEST = 1 << 30  # bytes of all tables: a file of ONNX ends at 2 GiB
_TOKENS_TRIED = 2_000_000  # in about a second


class Ngram(CountingModel):
    """P(w | h), h the last n - 1 tokens, or all since the start token where those are fewer.

    kneser-ney: modified and interpolated (Chen & Goodman, 1999, "An empirical study of smoothing
    techniques for language modeling", section 3). additive: see `additive`.

    A context is known if a training string has it. The state is the longest known suffix, of at
    most n - 2 tokens, of the tokens so far: one of R of the S contexts.

    The first D contexts, the empty one first, have a row each of the tables `logits` (D, V), the
    log-probabilities after each, and `next`, the longest known context after each and each token.
    Where all tables are small, D = S, `next` is (R * V,), and `state` (S,) is the state that a
    context leaves. Where they are not, the longer contexts are in `levels`, which hold only what
    was seen, and `state` is empty.
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
        self.levels = nn.ModuleList()
        self.register_load_state_dict_pre_hook(_resize)  # type: ignore[no-untyped-call]

    def fit(self, train: EncodedStrings, dev: EncodedStrings | None) -> dict[str, Any]:
        """`OptionError` where the tables are larger than 1 GiB."""
        device = self.logits.device
        counted = Counted.of(train, self.config.order)
        if (size := counted.table_bytes()) > _LARGEST:
            raise OptionError(
                f"an n-gram of order {self.config.order} with {counted.total:,} contexts of "
                f"{self.vocab_size:,} tokens takes {size:,} bytes; the limit is {_LARGEST:,}; "
                "take a lower --order, or fewer distinct tokens"
            )
        self.next = torch.from_numpy(counted.next())
        self.state = torch.from_numpy(counted.states())
        self.levels = nn.ModuleList(
            SparseLevel.of(level, longer, ngrams, self.vocab_size)
            for level, longer, ngrams in counted.sparse()
        )
        self.to(device)
        if self.config.method == "additive":
            held_out = np.concatenate([*self._ngrams(dev)]) if dev else None
            shape = (counted.total, self.vocab_size)
            seen_in_train = count_distinct(self._ngrams(train))
            model = additive(seen_in_train, held_out, shape, self.config.smoothing)
            table, fitted = model.table(counted.dense_rows), {"smoothing": model.k}
            seen = [model.seen(ngrams, level.rows) for level, _, ngrams in counted.sparse()]
        else:
            table, seen = kneser_ney(counted)
            fitted = {}
        self.logits = torch.from_numpy(table)
        for level, log_probs in zip(self.levels, seen, strict=True):
            cast("SparseLevel", level).fill(log_probs)
        self.to(device)
        return fitted

    def expected_bytes(self, train: EncodedStrings) -> int:
        """At most about that for a long text: as if its rest had as much new as its beginning.

        What is new gets rarer: from half of the beginning to all of it the tables grow by a factor,
        and by no larger one as the text doubles again (Heaps, 1978, "Information retrieval").
        """
        some = train.first_tokens(_TOKENS_TRIED)
        half = some.first_tokens(some.token_count // 2)
        size, less = (Counted.of(s, self.config.order).table_bytes() for s in (some, half))
        factor = 2 if len(half) == len(some) else min(2, size / less)
        doublings = math.log2(train.token_count / some.token_count)
        return round(size * math.pow(factor, doublings))

    def fault(self) -> str | None:
        vocab_size, sparse = self.vocab_size, self._sparse()
        shapes = [table.dim() for table in (self.logits, self.next, self.state)]
        if shapes != [2, 1, 1] or self.logits.shape[1] != vocab_size:
            return f"logits: {list(self.logits.shape)}, not (contexts, {vocab_size})"
        rows, edges, states = len(self.logits), len(self.next), len(self.state)
        contexts, kept = rows + sum(map(len, sparse)), 0 if sparse else rows
        least = rows * vocab_size if sparse else 1
        if states != kept or edges % vocab_size or not least <= edges <= rows * vocab_size:
            return f"next: {edges} edges and {states} states for {rows} contexts"
        if not 0 <= int(self.next.min()) <= int(self.next.max()) < contexts:
            return f"next: leads to a context beyond the {contexts}"
        if kept and not 0 <= int(self.state.min()) <= int(self.state.max()) < edges // vocab_size:
            return f"state: one that is none of the {edges // vocab_size}"
        return self._fault_of_levels(contexts)

    def _fault_of_levels(self, contexts: int) -> str | None:
        levels = self._sparse()
        for i, (level, first) in enumerate(zip(levels, self._firsts(), strict=True)):
            longest = i == len(levels) - 1
            if fault := level.fault(first, contexts, self.vocab_size, longest=longest):
                return f"levels.{i}.{fault}"
        return None

    def _ngrams(self, strings: EncodedStrings) -> Iterator[Ints]:
        """Each token of `strings`, stops included, as its context times V plus itself."""
        for inputs, targets in strings.batches():
            keys = self._contexts(inputs) * self.vocab_size + targets
            yield keys[targets >= 0].cpu().numpy()

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
        levels = self._sparse()
        inner = levels[:-1]  # no state is one of the longest
        rows, dense = self._rows(state.int() if inner else state, inner)
        # One Gather of ONNX; two indices would be a GatherND, which CUDA lacks for int32.
        context = self.next.index_select(0, dense * self.vocab_size + token)
        if not levels:
            return context, self.state.index_select(0, context).long()
        if inner:
            wanted = token.int()[:, None]
            found = [level.following(row, wanted) for level, row in zip(inner, rows, strict=True)]
            # The longest has the highest number.
            context = reduce(torch.maximum, found, context[:, None]).squeeze(1)
        _, following = levels[-1].row(context, self._firsts()[-1])
        return context, following.long()

    def _rows(self, context: Tensor, levels: Sequence[SparseLevel]) -> tuple[list[Tensor], Tensor]:
        """In each level the row of the suffix of `context` that is there, or 0; and the longest of
        its suffixes that has a dense row, or itself. All (B,).
        """
        rows = []
        for level, first in reversed([*zip(levels, self._firsts(), strict=False)]):
            row, context = level.row(context, first)
            rows.append(row)
        return rows[::-1], context

    def _log_probs(self, context: Tensor) -> Tensor:
        """After each context (B,): (B, V)."""
        levels = self._sparse()
        rows, dense = self._rows(context, levels)
        log_probs = self.logits.index_select(0, dense)
        if not levels:
            return log_probs
        log_probs = nn.functional.pad(log_probs, (0, 1))  # (B, V + 1)
        for level, row in zip(levels, rows, strict=True):
            log_probs = level.refined(log_probs, row, mixed=self._mixed)
        return log_probs[:, : self.vocab_size]

    @property
    def _mixed(self) -> bool:
        config: NgramConfig = self.config
        return config.method == "kneser-ney"

    def _sparse(self) -> list[SparseLevel]:
        return [cast("SparseLevel", level) for level in self.levels]

    def _firsts(self) -> list[int]:
        """The number of the first context of each sparse level."""
        ends = accumulate(map(len, self._sparse()), initial=len(self.next) // self.vocab_size)
        return [*ends][:-1]

    def forward(self, tokens: Tensor) -> Tensor:
        return self._log_probs(self._contexts(tokens).flatten()).view(*tokens.shape, -1)

    def states(self) -> tuple[StateSpec, ...]:
        return (StateSpec(name="context", dtype="int64", shape=()),)

    def step_function(self) -> StepFunction | None:
        if not self.levels:
            return StepFunction.of("NgramStep", self, "logits", "next", "state")
        tables = [
            f"levels.{i}.{name}"
            for i, level in enumerate(self._sparse())
            for name in level.parameter_names()
        ]
        name = "SparseNgramStep" if self._mixed else "SparseAdditiveStep"
        return StepFunction.of(name, self, "logits", "next", *tables)

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        context, after = self._after(state[0], token)
        return self._log_probs(context), after  # (B, V), (B,)


def _resize(model: Ngram, weights: dict[str, Tensor], prefix: str, *_args: object) -> None:
    """How many contexts there are, and in which form, is known from the weights only."""
    names = [name.removeprefix(prefix) for name in weights if name.startswith(prefix)]
    levels = {name.split(".")[1] for name in names if name.startswith("levels.")}
    model.levels = nn.ModuleList(SparseLevel() for _ in levels)
    for name in model.state_dict():
        if (weight := weights.get(prefix + name)) is not None:
            owner, _, table = name.rpartition(".")
            empty = torch.empty_like(weight, device=model.logits.device)
            setattr(model.get_submodule(owner), table, empty)
