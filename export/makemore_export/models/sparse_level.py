"""The known contexts of one length, each with only the tokens that were seen after it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from makemore_export.models.contexts import Ints, Level

_DTYPES = {
    "first": torch.int32,
    "suffix": torch.int32,
    "weight": torch.float32,
    "token": torch.int32,
    "value": torch.float32,
    "next": torch.int32,
    "offsets": torch.int32,
}


class Seen(NamedTuple):
    """Log-probabilities of the N n-grams that begin with one of C contexts, and of all others."""

    values: NDArray[np.floating]  # (N,)
    weights: NDArray[np.floating]  # (C,) for any other token, see `SparseLevel.refined`


class SparseLevel(nn.Module):
    """C contexts in compressed rows: row q of C + 1 is entries `first[q]` to `first[q + 1]`.

    An entry is a `token` that was seen, the log-probability that it has, its `value`, and the
    context that follows, `next`, empty for the longest contexts. Row 0 is no context: its one entry
    is of token V, which no model has. `suffix` (C + 1,) is the number of each context without its
    oldest token, and `weight` the logarithm of what it gives to the log-probabilities of that one.
    `offsets` counts up to the longest row, so that the graph has that size.
    """

    first: Tensor
    suffix: Tensor
    weight: Tensor
    token: Tensor
    value: Tensor
    next: Tensor
    offsets: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, dtype in _DTYPES.items():
            self.register_buffer(name, torch.zeros(1, dtype=dtype))

    def __len__(self) -> int:
        return len(self.suffix) - 1

    @classmethod
    def of(cls, level: Level, longer: Level | None, ngrams: Ints, vocab_size: int) -> SparseLevel:
        """Without log-probabilities, for which there is `fill`.

        longer: the level of contexts with one token more, None for the longest contexts. ngrams:
          each context times V plus token, sorted.
        """
        contexts, tokens = np.divmod(ngrams, vocab_size)
        counts = np.bincount(contexts - level.first, minlength=len(level.suffixes))
        made = cls()
        made._put("first", 0, 1 + np.concatenate([[0], np.cumsum(counts)]))
        made._put("suffix", 0, level.suffixes)
        made._put("token", vocab_size, tokens)
        made.offsets = torch.arange(int(counts.max(initial=1)), dtype=torch.int32)
        made.next = torch.zeros(0, dtype=torch.int32)
        if longer is not None:
            # After a stop it is the context of the start token, 1. Each other n-gram is a context.
            following = longer.first + np.searchsorted(longer.edges, ngrams)
            made._put("next", 0, np.where(tokens == 0, 1, following))
        return made

    def fill(self, seen: Seen) -> None:
        self._put("value", 0, seen.values)
        self._put("weight", 0, seen.weights)

    def _put(self, name: str, none: int, rows: NDArray[Any]) -> None:
        """Row 0, or its entry, then the others."""
        setattr(self, name, torch.from_numpy(np.concatenate([[none], rows])).to(_DTYPES[name]))

    def _entries(self, row: Tensor) -> Tensor:
        """The entries of each row, its last one again and again where it has fewer: (B, M)."""
        begin = self.first.index_select(0, row)
        last = self.first.index_select(0, row + 1) - 1
        return torch.minimum(begin[:, None] + self.offsets, last[:, None])

    def following(self, row: Tensor, token: Tensor) -> Tensor:
        """The context after each row and token, (B,); 0 where the token was not seen after it."""
        entries = self._entries(row)
        found = _gather(self.token, entries) == token[:, None]
        entry = torch.where(found, entries, 0).amax(1)  # row 0 has entry 0
        return self.next.index_select(0, entry)

    def refined(self, shorter: Tensor, row: Tensor, *, mixed: bool) -> Tensor:
        """Log-probabilities (B, V + 1) from those after the suffixes; column V is for row 0.

        mixed: other tokens have the log-probability after the suffix plus the weight; or else the
          weight itself.
        """
        entries = self._entries(row)
        weight = self.weight.index_select(0, row)[:, None]
        others = shorter + weight if mixed else torch.where(row[:, None] > 0, weight, shorter)
        tokens = _gather(self.token, entries).long()
        return others.scatter(1, tokens, _gather(self.value, entries))

    def fault(self, first: int, contexts: int, vocab_size: int, *, longest: bool) -> str | None:
        """What is wrong with loaded tables: `name: reason`.

        first: the number of the first of its contexts; contexts: how many there are in all levels.
        """
        for name, dtype in _DTYPES.items():
            table = getattr(self, name)
            if table.dim() != 1 or table.dtype != dtype:
                return f"{name}: {table.dtype} of {table.dim()} dimensions, not {dtype} of 1"
        entries = len(self.token)
        lengths = {
            "first": (len(self.suffix) + 1, len(self.first)),
            "weight": (len(self.suffix), len(self.weight)),
            "value": (entries, len(self.value)),
            "next": (0 if longest else entries, len(self.next)),
        }
        for name, (wanted, found) in lengths.items():
            if wanted != found:
                return f"{name}: {found} numbers, not {wanted}"
        counts = self.first.diff()
        if not len(counts) or self.first[0] != 0 or self.first[-1] != entries or counts.min() < 1:
            return f"first: not the rows of {entries} entries"
        if not torch.equal(self.offsets, torch.arange(int(counts.max()), dtype=torch.int32)):
            return f"offsets: not the numbers up to {int(counts.max())}, the longest row"
        for name, end in (("suffix", first), ("token", vocab_size + 1), ("next", contexts)):
            table = getattr(self, name)
            if len(table) and not 0 <= int(table.min()) <= int(table.max()) < end:
                return f"{name}: a number that is not from 0 to {end - 1}"
        return None


def _gather(table: Tensor, at: Tensor) -> Tensor:
    """`table[at]`, (B, M), as the Gather of ONNX; the exporter makes a GatherND of the index."""
    return table.index_select(0, at.flatten()).view(at.shape)
