"""Dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_COINS = 1 << 16


class Dropout(nn.Module):
    """Sets a share p of what it reads to 0 in training, and scales the rest to the same mean.

    Srivastava et al. (2014), "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    section 4. On a CPU PyTorch's own takes a 64-bit draw and 5 ns a number, an eighth of the
    training of an LSTM; here four numbers share a draw, with p to the nearest 1/65,536.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.dropped = min(round(p * _COINS), _COINS - 1)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.dropped == 0:
            return x
        if not x.is_cpu:
            return F.dropout(x, self.p)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        coins = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = coins >= self.dropped - _COINS // 2
        return x * (kept * (_COINS / (_COINS - self.dropped)))
