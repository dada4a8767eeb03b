"""The known contexts of one length, each with only the tokens that were seen after it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import embedding

from makemore_export.data.counting import Ints
from makemore_export.models.contexts import Level

_NO_CONTEXT = 2**31 - 1  # larger than any

# One column each but for the last, so that a lookup is one Gather of ONNX; other indices become
# several nodes, and a node takes longer than a small table.
_SHAPES_AND_TYPES = {
    "ends": (2, torch.int32),
    "suffix": (2, torch.int32),
    "weight": (2, torch.float32),
    "token": (2, torch.int32),
    "value": (2, torch.float32),
    "next": (2, torch.int32),
    "offsets": (1, torch.int32),
}


class Seen(NamedTuple):
    """Log-probabilities of the N n-grams that begin with one of C contexts, and of all others."""

    values: NDArray[np.floating]  # (N,)
    weights: NDArray[np.floating]  # (C,) for any other token, see `SparseLevel.refined`


class SparseLevel(nn.Module):
    """C contexts in compressed rows: the last entry of row q, of C + 1, is `ends[q + 1]`.

    An entry is a `token` that was seen, its log-probability, `value`, and the context that follows,
    `next`, empty for the longest contexts. Row 0 is no context: its one entry, 1, is of token V,
    which no model has, as entry 0 is, of no row. `suffix` is the number of each context without its
    oldest token, and `weight` what the log-probability of a token is made of that was not seen.
    `offsets` counts from 1 to the length of the longest row, so that the graph has that size.
    """

    ends: Tensor
    suffix: Tensor
    weight: Tensor
    token: Tensor
    value: Tensor
    next: Tensor
    offsets: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, (dimensions, dtype) in _SHAPES_AND_TYPES.items():
            self.register_buffer(name, torch.zeros((1,) * dimensions, dtype=dtype))

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
        made._put("ends", [0, 1], 1 + np.cumsum(counts))
        made._put("suffix", [_NO_CONTEXT], level.suffixes)
        made._put("token", [vocab_size] * 2, tokens)
        made.offsets = torch.arange(1, int(counts.max(initial=1)) + 1, dtype=torch.int32)
        made.next = torch.zeros((0, 1), dtype=torch.int32)
        if longer is not None:
            # After a stop it is the context of the start token, 1. Each other n-gram is a context.
            following = longer.first + np.searchsorted(longer.edges, ngrams)
            made._put("next", [0, 0], np.where(tokens == 0, 1, following))
        return made

    def fill(self, seen: Seen) -> None:
        self._put("value", [0, 0], seen.values)
        self._put("weight", [0], seen.weights)

    def _put(self, name: str, none: list[int], rows: NDArray[Any]) -> None:
        """What row 0 has, or the entries before those of row 1, then the others."""
        column = torch.from_numpy(np.concatenate([none, rows]))[:, None]
        setattr(self, name, column.to(_SHAPES_AND_TYPES[name][1]))

    def row(self, context: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """The row of each context (B,), and its suffix; 0 and itself for one that is shorter.

        first: the number of the first context of this level.
        """
        row = (context - (first - 1)).clamp(min=0)
        return row, torch.minimum(context, embedding(row, self.suffix).squeeze(1))

    def parameter_names(self) -> list[str]:
        """Those of the tables that a step reads; a step is traced with `offsets` in it."""
        names = ["ends", "suffix", "weight", "token", "value"]
        return [*names, "next"] if len(self.next) else names

    def _entries(self, row: Tensor) -> Tensor:
        """The entries of each row, its last one again and again where it has fewer: (B, M)."""
        before, last = embedding(row, self.ends), embedding(row + 1, self.ends)  # (B, 1)
        return torch.minimum(before + self.offsets, last)

    def following(self, row: Tensor, token: Tensor) -> Tensor:
        """The context after each row and token (B, 1): (B, 1); 0 where it was not seen there."""
        entries = self._entries(row)
        found = embedding(entries, self.token).squeeze(2) == token
        entry = torch.where(found, entries, 0).amax(1)
        return embedding(entry, self.next)

    def refined(self, shorter: Tensor, row: Tensor, *, mixed: bool) -> Tensor:
        """Log-probabilities (B, V + 1) from those after the suffixes, which it writes over, for the
        table is the slow part of a large batch; column V is for row 0.

        mixed: other tokens have the log-probability after the suffix plus the weight; or else the
          weight itself.
        """
        entries = self._entries(row)
        weight = embedding(row, self.weight)  # (B, 1)
        others = shorter.add_(weight) if mixed else torch.where(row[:, None] > 0, weight, shorter)
        tokens = embedding(entries, self.token).squeeze(2).long()
        return others.scatter_(1, tokens, embedding(entries, self.value).squeeze(2))

    def fault(self, first: int, contexts: int, vocab_size: int, *, longest: bool) -> str | None:
        """What is wrong with loaded tables: `name: reason`.

        first: the number of the first of its contexts; contexts: how many there are in all levels.
        """
        for name, (dimensions, dtype) in _SHAPES_AND_TYPES.items():
            table = getattr(self, name)
            if table.dtype != dtype or table.dim() != dimensions or {*table.shape[1:]} - {1}:
                return f"{name}: {table.dtype} of {list(table.shape)}, not {dtype} of one column"
        rows, entries = len(self.suffix), len(self.token)
        lengths = {
            "ends": rows + 1,
            "weight": rows,
            "value": entries,
            "next": 0 if longest else entries,
        }
        for name, wanted in lengths.items():
            if (found := len(getattr(self, name))) != wanted:
                return f"{name}: {found} numbers, not {wanted}"
        counts = self.ends[:, 0].diff()
        least = int(counts.min()) if rows else 0
        if least < 1 or self.ends[0] != 0 or self.ends[-1] != entries - 1:
            return f"ends: not those of the rows of {entries} entries"
        if not torch.equal(self.offsets, torch.arange(1, int(counts.max()) + 1).int()):
            return f"offsets: not those up to {int(counts.max())}, the longest row"
        ranges = {
            "suffix": (self.suffix[1:], first),
            "token": (self.token, vocab_size + 1),
            "next": (self.next, contexts),
        }
        for name, (table, end) in ranges.items():
            if len(table) and not 0 <= int(table.min()) <= int(table.max()) < end:
                return f"{name}: a number that is not from 0 to {end - 1}"
        return None if self.suffix[0] == _NO_CONTEXT else "suffix: one of no context"
