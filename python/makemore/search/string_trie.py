"""A trie of strings from which those that were found are removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore.decoded import Decoded, end_to_end
from makemore.errors import ExhaustedError
from makemore.search.chunk import Chunk
from makemore.search.next_tokens import NextTokens
from makemore.vocabulary import STOP

if TYPE_CHECKING:
    from makemore.search.row_search import RowSearch

NOTHING = 2.0**-40
"""Where less probability than this is left, everything has been found."""

_TOGETHER = 4096
"""Prefixes evaluated at a time."""


class Drawn(NamedTuple):
    """A string of the trie, and the row whose coins drew it."""

    ids: list[int]
    stopped: bool
    text: str
    row: int


class _Node:
    """A prefix. `weights` (V,): of each next token, its probability times the share of what follows
    it that is left; `share`: the probability of the prefix's own last token.
    """

    __slots__ = ("children", "share", "state", "weights")

    def __init__(self, weights: NDArray[np.float64], state: int, share: float) -> None:
        self.weights = weights
        self.state = state
        self.share = share
        self.children: dict[int, _Node] = {}


class StringTrie:
    """Draws strings with the probabilities of what is left, each at most once.

    Shi, Bieber and Sutton (2020), Incremental Sampling Without Replacement for Sequence Models,
    section 3. Rows keep their coins; what is drawn depends on what was drawn before.
    """

    def __init__(self, search: RowSearch) -> None:
        self._search = search
        self._next = NextTokens(search.engine, search.plan, search.cancellation)
        self._root = self._new_nodes([[]], [self._next.start], [1.0])[0]

    def draw(self, row: int) -> Drawn | None:
        """The string of a row, which is then removed; None where the row comes to nothing.

        `ExhaustedError` where nothing is left.
        """
        if self._root.weights.sum() < NOTHING:
            raise self.exhausted()
        path: list[tuple[_Node, int]] = []
        ids: list[int] = []
        node = self._root
        while True:
            token = self._pick(node, row, len(ids))
            if token is None:
                self._remove(path)
                return None
            path.append((node, token))
            if token != STOP:
                ids.append(token)
            if token == STOP or self._next.is_cut(len(ids)):
                break
            node = self._child(node, ids)
        self._remove(path)
        whole = [*self._search.plan.prompt, *ids]
        (text,) = self._search.engine.texts([whole])
        return Drawn(whole, token == STOP, text, row)

    def remove(self, strings: Iterable[tuple[Sequence[int], bool]]) -> None:
        """Removes strings: their ids, and whether they came to their stop."""
        begin = len(self._search.plan.prompt)
        found = [([*ids[begin:], STOP] if stopped else [*ids[begin:]]) for ids, stopped in strings]
        level = [(self._root, ids) for ids in found]
        depth = 0
        while level:
            level = self._descend(level, depth)
            depth += 1
        for ids in found:
            node = self._root
            path = []
            for token in ids:
                path.append((node, token))
                node = node.children.get(token, node)
            self._remove(path)

    def exhausted(self) -> ExhaustedError:
        """That nothing is left."""
        search = self._search
        return ExhaustedError(
            f"there are no more strings: {search.found:,} were found in {search.tried:,} rows, and "
            "what is left has a probability below 2**-40",
            rows=search.tried,
            mass=float(1 - self._root.weights.sum()),
        )

    def chunk(self, drawn: Sequence[Drawn]) -> Chunk:
        """Strings that were drawn, as a search has them."""
        ids, offsets = end_to_end([each.ids for each in drawn])
        log_probs = np.zeros(len(drawn))
        if self._search.log_probs:
            whole = [[*each.ids, STOP] if each.stopped else each.ids for each in drawn]
            tokens = self._search.engine.token_log_probs(
                whole, cancellation=self._search.cancellation
            )
            sums = np.concatenate([[0.0], np.cumsum(tokens)])
            ends = np.cumsum([0, *map(len, whole)])
            log_probs = sums[ends[1:]] - sums[ends[:-1]]
        stopped = np.array([each.stopped for each in drawn], dtype=np.uint8)
        rows = np.array([each.row - drawn[0].row for each in drawn])
        decoded = Decoded(ids.astype(np.int32), offsets, log_probs, stopped, rows)
        return Chunk([each.text for each in drawn], decoded, drawn[0].row)

    def _pick(self, node: _Node, row: int, length: int) -> int | None:
        cumulative = np.cumsum(node.weights)
        if not cumulative[-1] > 0:
            return None
        position = len(self._search.plan.prompt) + length
        coin = _core.coin(self._search.seed, row, position)
        token = int(np.searchsorted(cumulative, coin * cumulative[-1], side="right"))
        if token == len(cumulative) or node.weights[token] == 0:  # rounded up
            token = int(np.flatnonzero(node.weights)[-1])
        return token

    def _remove(self, path: list[tuple[_Node, int]]) -> None:
        """Takes the last token of a path from its node, and what that leaves from those above."""
        for i, (node, token) in enumerate(reversed(path)):
            child = node.children.get(token) if i else None
            node.weights[token] = child.share * child.weights.sum() if child is not None else 0.0

    def _child(self, node: _Node, ids: list[int]) -> _Node:
        token = ids[-1]
        child = node.children.get(token)
        if child is None:
            state = self._next.state_after(node.state, token)
            child = self._new_nodes([ids], [state], [float(node.weights[token])])[0]
            node.children[token] = child
        return child

    def _descend(
        self, level: list[tuple[_Node, list[int]]], depth: int
    ) -> list[tuple[_Node, list[int]]]:
        """Nodes one token further along strings that go on, made where there are none."""
        going_on = [(node, ids) for node, ids in level if len(ids) > depth + 1]
        missing: dict[tuple[int, int], tuple[_Node, list[int]]] = {}
        for node, ids in going_on:
            if ids[depth] not in node.children:
                missing.setdefault((id(node), ids[depth]), (node, ids[: depth + 1]))
        parents = [*missing.values()]
        for begin in range(0, len(parents), _TOGETHER):
            some = parents[begin : begin + _TOGETHER]
            made = self._new_nodes(
                [ids for _, ids in some],
                [self._next.state_after(node.state, ids[-1]) for node, ids in some],
                [float(node.weights[ids[-1]]) for node, ids in some],
            )
            for (node, ids), child in zip(some, made, strict=True):
                node.children[ids[-1]] = child
        return [(node.children[ids[depth]], ids) for node, ids in going_on]

    def _new_nodes(
        self, prefixes: list[list[int]], states: list[int], shares: list[float]
    ) -> list[_Node]:
        weights = self._next.after(prefixes, states)
        return [
            _Node(of_prefix.copy(), state, share)
            for of_prefix, state, share in zip(weights, states, shares, strict=True)
        ]
