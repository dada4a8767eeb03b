"""JAX: the whole decode loop as one jitted `lax.while_loop`, refilled."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from numpy.typing import NDArray

from peer import Peer, Source
from peer.jax_steps import State, by_mask, by_scatter, find_step

Loop = Callable[[int], Array]
"""From a seed to the tokens (n, max_length)."""

TRIALS = 3


class Jax(Peer):
    """The weights are constants of the loop: as arguments they cost 300 us a call.

    Caches are written by a mask or by a scatter: for every number of strings and batch size both
    are compiled and tried, before what is timed, and the faster one is kept.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.weights = {
            name: jnp.array(weight.numpy()) for name, weight in source.model.state_dict().items()
        }
        self.specs = source.model.states()
        step = find_step(source.checkpoint.run.model)
        has_cache = any(spec.time_axis is not None for spec in self.specs)
        writes = (by_mask, by_scatter) if has_cache else (by_mask,)
        self.steps = [partial(step(source.model, write), self.weights) for write in writes]
        self.loops: dict[tuple[int, int], Loop] = {}

    def generate(self, n: int, batch_size: int, seed: int) -> NDArray[np.int32]:
        size = n, min(n, batch_size)
        if size not in self.loops:
            self.loops[size] = min(self.forms(*size), key=seconds)
        return np.asarray(self.loops[size](seed))

    def forms(self, n: int, rows: int) -> list[Loop]:
        """The loop over each form of the step."""
        options = {"zeros": self.zeros(rows), "n": n, "max_length": self.max_length}
        return [jax.jit(partial(decode, step, **options)) for step in self.steps]

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        state, step = self.zeros(len(tokens)), jax.jit(self.steps[0])
        logits = []
        for position, token in enumerate(tokens.T):
            now, state = step(token, np.full_like(token, position), state)
            logits.append(now)
        return np.stack(logits, axis=1)

    def zeros(self, rows: int) -> State:
        return [
            jnp.zeros((rows, *spec.shape), spec.dtype.replace("64", "32")) for spec in self.specs
        ]


def seconds(loop: Loop) -> float:
    """The least of a few calls, after the one that compiles it."""
    loop(0).block_until_ready()
    took = []
    for seed in range(1, 1 + TRIALS):
        began = time.perf_counter()
        loop(seed).block_until_ready()
        took.append(time.perf_counter() - began)
    return min(took)


def decode(
    step: Callable[[Array, Array, State], tuple[Array, State]],
    seed: Array,
    *,
    zeros: State,
    n: int,
    max_length: int,
) -> Array:
    """Tokens (n, max_length) of n strings, as many at a time as `zeros` has rows."""
    # Row n is for rows of the batch without a string.
    coins = random.uniform(random.key(seed), (n + 1, max_length))

    def unfinished(carry: tuple[Any, ...]) -> Array:
        return (carry[2] < n).any()

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        token, position, string, begun, ids, state = carry
        logits, state = step(token, position, state)
        weight = jnp.exp(logits - logits.max(1, keepdims=True)).cumsum(1)  # (B, V), not normalised
        coin = coins[string, position][:, None] * weight[:, -1:]
        token = (weight <= coin).sum(1, dtype=jnp.int32)
        ids = ids.at[string, position].set(token)
        ended = (token == 0) | (position + 1 == max_length)
        fresh = begun - 1 + jnp.cumsum(ended)  # numbers of the strings that the ended rows take
        string = jnp.where(ended, jnp.minimum(fresh, n), string)
        position = jnp.where(ended, 0, position + 1)
        token = jnp.where(ended, 0, token)
        return token, position, string, begun + ended.sum(), ids, state

    rows = len(zeros[0])
    start = jnp.zeros(rows, jnp.int32)
    ids = jnp.zeros((n + 1, max_length), jnp.int32)
    carry = (start, start, jnp.arange(rows), rows, ids, zeros)
    return lax.while_loop(unfinished, advance, carry)[4][:n]


def load(source: Source) -> Peer:
    return Jax(source)
