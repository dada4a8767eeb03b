"""Strings as token ids, and batches of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy

import numpy as np
import torch
from makemore.vocabulary import STOP, Vocabulary
from torch import Tensor

from makemore_export.data.encoding import encoded, lengths_of
from makemore_export.data.scratch import Scratch

PADDING = -1
"""The target at a position past the end of a string."""

PIECE = 1024
"""Most tokens, stop included, that a model which knows any position is trained on in one go."""

_TOKENS_PER_BATCH = 1 << 13  # their activations fit in the cache of a core
_LOGITS_PER_BATCH = 1 << 24
_SHORT = 256  # strings of at most so many tokens are all in batches of one size


class EncodedStrings:
    """Encoded strings, laid end to end: a 0 before, between and after them.

    The stop of one string is the start of the next, so padding is made only within a batch. A token
    takes 1, 2 or 4 bytes, by the size of the vocabulary; many of them are in a mapped file.
    """

    def __init__(self, lines: Iterable[str], vocabulary: Vocabulary, device: str = "cpu") -> None:
        self.vocab_size = len(vocabulary)
        flat = Scratch(_smallest_type(len(vocabulary)))
        flat.add([STOP])
        counts = [np.zeros(0, np.int64)]
        for ids in encoded(lines, vocabulary):
            flat.add(ids)
            counts.append(lengths_of(ids))
        lengths = torch.from_numpy(np.concatenate(counts))
        slack = int(lengths.max()) if len(lengths) else 0
        flat.add(np.zeros(slack))  # so that the longest window may begin anywhere
        self._padded = torch.from_numpy(flat.array()).to(device)
        self._slack = slack
        self.device = self._padded.device
        self.lengths = lengths.to(device)  # (N,)
        self.starts = (torch.cumsum(lengths + 1, 0) - lengths - 1).to(device)  # (N,)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def tokens(self) -> Tensor:
        """A copy of all, the 0 before, between and after: int64 (sum of lengths + N + 1,)."""
        return self._padded[: len(self._padded) - self._slack].long()

    @property
    def token_count(self) -> int:
        """How many tokens the strings have, stops included."""
        return int(self.lengths.sum()) + len(self)

    def first(self, n: int) -> EncodedStrings:
        """The first n strings, or all where there are fewer."""
        first = copy(self)
        first.lengths, first.starts = self.lengths[:n], self.starts[:n]
        return first

    def rows(self, kept: Tensor) -> EncodedStrings:
        """The strings where `kept`, bool (N,), is true."""
        some = copy(self)
        some.lengths, some.starts = self.lengths[kept], self.starts[kept]
        return some

    def joined(self, other: EncodedStrings) -> EncodedStrings:
        """These strings, then the others, of the same vocabulary and on the same device."""
        slack = max(self._slack, other._slack)
        flat = Scratch(_smallest_type(self.vocab_size))
        own = self._padded[: len(self._padded) - self._slack]
        for part in (own, other._padded[1 : len(other._padded) - other._slack]):
            flat.add(part.cpu().numpy())
        flat.add(np.zeros(slack))
        both = copy(self)
        both._padded = torch.from_numpy(flat.array()).to(self.device)
        both._slack = slack
        both.lengths = torch.cat([self.lengths, other.lengths])
        both.starts = torch.cat([self.starts, other.starts + len(own) - 1])
        return both

    def first_tokens(self, most: int) -> EncodedStrings:
        """The first strings that have at most so many tokens together, stops included, but one."""
        return self.first(max(1, int(((self.lengths + 1).cumsum(0) <= most).sum())))

    def pieces(self, most: int) -> EncodedStrings:
        """The same with each string of more than `most` tokens, stop included, as several.

        A piece goes on where the one before ends, without what came before.
        """
        counts = self.lengths // most + 1  # (N,)
        first = (counts.cumsum(0) - counts).repeat_interleave(counts)
        offsets = (torch.arange(len(first), device=first.device) - first) * most
        pieces = copy(self)
        pieces.starts = self.starts.repeat_interleave(counts) + offsets
        left = self.lengths.repeat_interleave(counts) - offsets
        pieces.lengths = left.clamp(max=most - 1)  # the last token of a piece is as its stop
        return pieces

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets of strings `rows` (B,): int64 (B, T), T the longest of them plus 1.

        A row of inputs is 0 c1 ... cL 0 ..., one of targets c1 ... cL 0 `PADDING` ....
        """
        lengths = self.lengths[rows]
        time = torch.arange(int(lengths.max()) + 1, device=rows.device)  # (T,)
        shape = (len(self._padded) - len(time), len(time) + 1)
        windows = self._padded.as_strided(shape, (1, 1))
        taken = windows[self.starts[rows]].long()  # (B, T + 1)
        padding = time > lengths[:, None]  # (B, T)
        return (
            taken[:, :-1].masked_fill(padding, STOP),
            taken[:, 1:].masked_fill(padding, PADDING),
        )

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All strings once, shortest first, so that little is padding."""
        order = self.lengths.argsort(stable=True)
        positions = self.lengths[order].cpu() + 1  # (N,)
        tokens = min(_TOKENS_PER_BATCH, _LOGITS_PER_BATCH // self.vocab_size)
        begin, longest = 0, int(positions[-1])
        while begin < len(order):
            rows = max(1, tokens // longest)
            if longest > _SHORT:  # as many as fit, of strings that grow
                following = positions[begin : begin + tokens]
                fit = following * torch.arange(1, len(following) + 1) <= tokens
                rows = max(1, int(fit.sum()))
            yield self.batch(order[begin : begin + rows])
            begin += rows


def _smallest_type(vocab_size: int) -> type[np.integer]:
    return np.uint8 if vocab_size <= 1 << 8 else np.int16 if vocab_size <= 1 << 15 else np.int32
