"""Whether a peer draws from the model's distribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import stats

from peer import STOP, NotComparableError, Source, encode, log_probs

SMALLEST_P = 1e-4


class Truth:
    """What a peer must agree with: the model's own `forward`, and strings drawn by it alone."""

    def __init__(self, source: Source, samples: int = 5_000) -> None:
        self.model, self.letters, self.samples = source.model, source.letters, samples
        torch.manual_seed(0)
        self.strings = self.draw(samples, source.max_length)
        self.log_probs = self.score(self.strings)

    @torch.inference_mode()
    def draw(self, n: int, max_length: int) -> list[str]:
        tokens = torch.full((n, 1), STOP)
        for _ in range(max_length):
            shares = self.model(tokens)[:, -1].softmax(-1)  # (B, V)
            tokens = torch.cat([tokens, torch.multinomial(shares, 1)], dim=1)
        rows = ("".join([self.letters[i] for i in row]) for row in tokens[:, 1:].tolist())
        return [row.partition(self.letters[STOP])[0] for row in rows]

    @torch.inference_mode()
    def score(self, strings: Sequence[str]) -> list[float]:
        """Log-probability of each whole string."""
        logits = self.model(torch.from_numpy(encode(strings, self.letters))).numpy()
        return log_probs(logits, strings, self.letters)

    def check(self, ask: Callable[..., Any]) -> dict[str, float]:
        """How near the peer is that answers worker.py's verbs; raises `NotComparableError` for one
        that is another model.
        """
        found = {}
        strings = self.strings[:200]
        log_probs = ask("log_probs", strings)
        if log_probs is not None:
            error = np.abs(np.subtract(log_probs, self.log_probs[:200])).max()
            found["log-probabilities differ by at most"] = float(error)
            if not error < ask("largest_error"):
                raise NotComparableError(f"another model: log-probabilities differ by {error:.2g}")
        made = ask("sample", self.samples, 1)
        found["nats a string, from the mean of the truth"] = float(
            np.mean(self.score(made)) - np.mean(self.log_probs)
        )
        tests = {
            "p of lengths": p_same([*map(len, made)], [*map(len, self.strings)]),
            "p of first characters": p_same([s[:1] for s in made], [s[:1] for s in self.strings]),
            "p of log-probabilities": stats.ks_2samp(self.score(made), self.log_probs).pvalue,
        }
        for name, p in tests.items():
            if not p > SMALLEST_P:
                raise NotComparableError(f"another distribution: {name} is {p:.2g}")
        return found | tests


def p_same(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """Chi-square test of two samples of one distribution; the rare kinds count as one."""
    counts = [Counter(sample) for sample in (one, other)]
    frequent = [kind for kind, times in (counts[0] + counts[1]).items() if times >= 20]
    table = [[count[kind] for kind in frequent] for count in counts]
    rest = [count.total() - sum(row) for count, row in zip(counts, table, strict=True)]
    columns = [*zip(*table, strict=True), *([tuple(rest)] if any(rest) else [])]
    return float(stats.chi2_contingency(columns).pvalue)
