"""The sampler again, from its definitions: one row, one token at a time, in plain Python.

Slow and obvious; shares no code with the library, which must give exactly the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray

STOP = 0
Logits = Callable[[Sequence[int]], ArrayLike]


def philox4x32(counter: Sequence[ArrayLike], key: Sequence[ArrayLike]) -> list[NDArray[np.uint64]]:
    """Philox4x32-10 of Salmon et al., SC11, section 3.3; words may be arrays, one lane each."""
    c0, c1, c2, c3 = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = (np.asarray(word, np.uint64) for word in key)
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        left, right = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (right >> half) ^ c1 ^ k0,
            right & low,
            (left >> half) ^ c3 ^ k1,
            left & low,
        )
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return [c0, c1, c2, c3]


def coin(seed: int, row: ArrayLike, position: int) -> NDArray[np.float64]:
    """Uniform in [0, 1) with 53 bits, of a row or of an array of rows."""
    rows = np.asarray(row, np.uint64)
    counter = [rows & np.uint64(0xFFFFFFFF), rows >> np.uint64(32), position, 0]
    low, high, _, _ = philox4x32(counter, [seed & 0xFFFFFFFF, seed >> 32])
    return ((high << np.uint64(32) | low) >> np.uint64(11)) / 2.0**53


def choose(
    logits: ArrayLike,
    coin: float,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    mask: Sequence[int] = (),
) -> int:
    """Mask -> temperature -> top_k -> top_p -> min_p -> inverse CDF in id order."""
    logit = [float(x) for x in np.asarray(logits, np.float32)]
    kept = [i for i in range(len(logit)) if i not in mask]
    kept.sort(key=lambda i: (-logit[i], i))
    if temperature == 0:
        return kept[0]
    weight = {i: math.exp((logit[i] - logit[kept[0]]) / temperature) for i in kept}
    if top_k > 0:
        kept = kept[:top_k]
    if top_p < 1:
        # Not sum(), which rounds differently from Python 3.12 on.
        masses = list(accumulate(weight[i] for i in kept))
        kept = kept[: next(n for n, mass in enumerate(masses, 1) if mass >= top_p * masses[-1])]
    kept = sorted(i for i in kept if weight[i] >= min_p and weight[i] > 0)  # the likeliest has 1
    masses = list(accumulate(weight[i] for i in kept))
    reached = (i for i, mass in zip(kept, masses, strict=True) if mass > coin * masses[-1])
    return next(reached, kept[-1])


@dataclass(frozen=True)
class Generated:
    """One string of the oracle."""

    ids: tuple[int, ...]
    log_prob: float
    stopped: bool


def sample(
    logits: Logits,
    *,
    seed: int,
    row: int,
    max_length: int,
    prefix: Sequence[int] = (),
    **options: object,
) -> Generated:
    """One row, alone: the prefix is forced, then tokens are drawn until it stops or is cut."""
    ids: list[int] = []
    log_prob = 0.0
    while len(ids) < max_length:
        position = len(ids)
        scores = np.asarray(logits(ids), np.float64)
        if position < len(prefix):
            token = prefix[position]
        else:
            token = choose(scores, float(coin(seed, row, position)), **options)
        log_prob += scores[token] - np.logaddexp.reduce(scores)
        if token == STOP:
            return Generated(tuple(ids), log_prob, stopped=True)
        ids.append(token)
    return Generated(tuple(ids), log_prob, stopped=False)


def score(logits: Logits, ids: Sequence[int]) -> float:
    """Natural-log probability of a whole string, its stop included."""
    total = 0.0
    for position, token in enumerate([*ids, STOP]):
        scores = np.asarray(logits(ids[:position]), np.float64)
        total += scores[token] - np.logaddexp.reduce(scores)
    return float(total)
