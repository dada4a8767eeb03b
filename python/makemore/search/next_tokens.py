"""The distribution of the next token after a prefix, of what can still pass a filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makemore._core import CancellationToken
from makemore.engine import Engine
from makemore.search.plan import Plan
from makemore.vocabulary import STOP


@dataclass(frozen=True)
class NextTokens:
    """What may follow prefixes, which are ids after a prompt that all have."""

    engine: Engine
    plan: Plan
    cancellation: CancellationToken | None

    @property
    def start(self) -> int:
        """The filter's state after the prompt."""
        state = 0
        for token in self.plan.prompt:
            state = self.state_after(state, token)
        return state

    def state_after(self, state: int, token: int) -> int:
        """The filter's state after one more token."""
        return int(self.states_after(np.array([state]), np.array([token]))[0])

    def states_after(
        self, states: NDArray[np.int64], tokens: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The same for many states and tokens, (n,) each."""
        if self.plan.compiled is None:
            return states
        return self.plan.compiled.automaton.transitions[states, tokens].astype(np.int64)

    def may_end(self, state: int) -> bool:
        """Whether a string passes that ends in that state of the filter."""
        return self.plan.compiled is None or bool(self.plan.compiled.automaton.accepting[state])

    def is_cut(self, length: int) -> bool:
        """Whether a string ends after so many ids, whatever would follow."""
        return len(self.plan.prompt) + length >= self.plan.max_length

    def after(
        self, prefixes: Sequence[Sequence[int]], states: Sequence[int] | NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """(n, V) probabilities, 0 for a token after which no string can pass, and for all of them
        after a string that is cut.
        """
        whole = [[*self.plan.prompt, *prefix] for prefix in prefixes]
        probabilities = self.engine.distributions(whole, self.plan.draw, self.cancellation)
        probabilities[[self.is_cut(len(prefix)) for prefix in prefixes]] = 0.0
        if self.plan.compiled is None:
            return probabilities
        automaton = self.plan.compiled.automaton
        of_state = automaton.transitions[np.asarray(states)]  # (n, V)
        left = self.plan.max_length - 1 - np.array([len(ids) for ids in whole])
        passes = (of_state >= 0) & (automaton.shortest[of_state] <= left[:, None])
        passes[:, STOP] = automaton.accepting[np.asarray(states)]
        return np.where(passes, probabilities, 0.0)
