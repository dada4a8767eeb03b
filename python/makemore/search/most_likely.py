"""The most likely strings, by best-first search over the tree of prefixes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError
from makemore.search.next_tokens import NextTokens
from makemore.search.string_filter import TextFilter
from makemore.vocabulary import STOP

MAX_PREFIXES = 1 << 22
"""Prefixes that a search keeps at most."""

_FIRST_BATCH, _BATCH = 16, 1024
"""Prefixes that are expanded together: few before a bound is known."""


class MostLikely(NamedTuple):
    """Strings, the likeliest first, their probabilities (k,), and the sum of these."""

    strings: list[str]
    probabilities: NDArray[np.float64]
    mass: float


class _Prefixes:
    """Prefixes of the search, each by its last token and the prefix before it."""

    def __init__(self) -> None:
        self.parent = np.full(1, -1, dtype=np.int64)
        self.token = np.zeros(1, dtype=np.int64)

    def add(self, parents: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        first = len(self.parent)
        self.parent = np.concatenate([self.parent, parents])
        self.token = np.concatenate([self.token, tokens])
        return np.arange(first, len(self.parent))

    def ids(self, prefix: int) -> list[int]:
        ids = []
        while prefix > 0:
            ids.append(int(self.token[prefix]))
            prefix = int(self.parent[prefix])
        return ids[::-1]


class BestFirstSearch:
    """Finds the k likeliest strings that pass; one that can be cut into words or tokens in several
    ways is as likely as the likeliest of them.

    A prefix is at least as likely as every string that begins with it, so that the search is over
    once no prefix is as likely as the k-th string (best-first search; Russell and Norvig,
    Artificial Intelligence, section 3.5).
    """

    def __init__(self, next_tokens: NextTokens, text_filter: TextFilter | None, k: int) -> None:
        self._next = next_tokens
        self._text_filter = text_filter
        self._k = k
        self._prefixes = _Prefixes()
        self._found: list[tuple[float, list[int], str]] = []
        self._bound = -np.inf  # log-probability of the k-th string

    def run(self) -> MostLikely:
        """`OptionError` where more prefixes would have to be kept than the limit."""
        if self._next.is_cut(0):  # the prompt is the only string
            if self._k > 0 and self._next.may_end(self._next.start):
                self._add_strings([(0.0, [])])
            return self._result()
        open_prefixes = np.zeros(1, dtype=np.int64)
        log_probs = np.zeros(1)
        states = np.array([self._next.start], dtype=np.int64)
        size = _FIRST_BATCH
        while len(open_prefixes) and self._k > 0:
            order = np.argsort(-log_probs, kind="stable")
            best, rest = order[:size], order[size:]
            size = min(2 * size, _BATCH)
            grown = self._expand(open_prefixes[best], log_probs[best], states[best])
            open_prefixes = np.concatenate([open_prefixes[rest], grown[0]])
            log_probs = np.concatenate([log_probs[rest], grown[1]])
            states = np.concatenate([states[rest], grown[2]])
            keep = log_probs >= self._bound
            open_prefixes, log_probs, states = open_prefixes[keep], log_probs[keep], states[keep]
            if len(self._prefixes.parent) > MAX_PREFIXES:
                raise OptionError(
                    f"k is {self._k}; to find so many strings more than {MAX_PREFIXES:,} prefixes "
                    "would have to be kept, the limit: ask for fewer, or with a lower temperature"
                )
        return self._result()

    def _expand(
        self, prefixes: NDArray[np.int64], log_probs: NDArray[np.float64], states: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Finds the strings that end after these prefixes; returns those that go on."""
        ids = [self._prefixes.ids(int(prefix)) for prefix in prefixes]
        with np.errstate(divide="ignore"):
            of_next = log_probs[:, None] + np.log(self._next.after(ids, states))  # (n, V)
        cut = np.array([self._next.is_cut(len(each) + 1) for each in ids])
        ends = np.zeros(of_next.shape, dtype=bool)
        ends[:, STOP] = True
        ends[cut] = True
        likely = (of_next > -np.inf) & (of_next >= self._bound)
        self._add_strings(
            [
                (float(of_next[i, token]), [*ids[i], int(token)] if token != STOP else ids[i])
                for i, token in np.argwhere(ends & likely)
            ]
        )
        at, tokens = np.nonzero(~ends & likely & (of_next >= self._bound))
        children = self._prefixes.add(prefixes[at], tokens)
        return children, of_next[at, tokens], self._next.states_after(states[at], tokens)

    def _add_strings(self, strings: list[tuple[float, list[int]]]) -> None:
        if not strings:
            return
        whole = [[*self._next.plan.prompt, *ids] for _, ids in strings]
        texts = self._next.engine.texts(whole)
        passing = [*range(len(texts))]
        if self._text_filter is not None:
            passing = self._text_filter.passing(texts).tolist()
        self._found += [(strings[i][0], strings[i][1], texts[i]) for i in passing]
        self._found.sort(key=lambda string: (-string[0], string[1]))
        likeliest: dict[str, tuple[float, list[int], str]] = {}
        for string in self._found:
            likeliest.setdefault(string[2], string)
        self._found = [*likeliest.values()][: self._k]
        if len(self._found) == self._k:
            self._bound = self._found[-1][0]

    def _result(self) -> MostLikely:
        probabilities = np.exp([log_prob for log_prob, _, _ in self._found])
        texts = [text for _, _, text in self._found]
        return MostLikely(texts, probabilities, float(probabilities.sum()))
