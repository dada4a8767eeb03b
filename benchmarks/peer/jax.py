"""JAX: the whole decode loop as one jitted `lax.while_loop`, refilled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from numpy.typing import NDArray

from peer import NotComparableError, Peer, Source
from peer.jax_steps import STEPS, State, Step, Weights


class Jax(Peer):
    """Compiled anew for every number of strings and batch size, before what is timed."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        kind = source.checkpoint.run.model
        if kind not in STEPS:
            raise NotComparableError(f"written for {', '.join(STEPS)} only")
        self.weights = {
            name: jnp.array(weight.numpy()) for name, weight in source.model.state_dict().items()
        }
        self.specs = source.model.states()
        step = STEPS[kind](source.model)
        self.step = jax.jit(step)
        loop = partial(decode, step, self.zeros, max_length=self.max_length)
        self.loop = jax.jit(loop, static_argnames=("n", "rows"))

    def generate(self, n: int, batch_size: int, seed: int) -> list[list[int]]:
        rows = min(n, batch_size)
        return np.asarray(self.loop(self.weights, seed, n=n, rows=rows)).tolist()

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        state = self.zeros(len(tokens))
        logits = []
        for position, token in enumerate(tokens.T):
            now, state = self.step(self.weights, token, np.full_like(token, position), state)
            logits.append(now)
        return np.stack(logits, axis=1)

    def zeros(self, rows: int) -> State:
        return [
            jnp.zeros((rows, *spec.shape), spec.dtype.replace("64", "32")) for spec in self.specs
        ]


def decode(
    step: Step,
    zeros: Callable[[int], State],
    weights: Weights,
    seed: Array,
    *,
    n: int,
    rows: int,
    max_length: int,
) -> Array:
    """Tokens (n, max_length) of n strings, `rows` of them at a time."""

    def unfinished(carry: tuple[Any, ...]) -> Array:
        return (carry[3] < n).any()

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        key, token, position, string, begun, ids, state = carry
        key, coin = random.split(key)
        logits, state = step(weights, token, position, state)
        token = random.categorical(coin, logits)
        ids = ids.at[string, position].set(token)
        ended = (token == 0) | (position + 1 == max_length)
        fresh = begun - 1 + jnp.cumsum(ended)  # numbers of the strings that the ended rows take
        string = jnp.where(ended, jnp.minimum(fresh, n), string)
        position = jnp.where(ended, 0, position + 1)
        token = jnp.where(ended, 0, token)
        return key, token, position, string, begun + ended.sum(), ids, state

    start = jnp.zeros(rows, jnp.int32)
    ids = jnp.zeros((n + 1, max_length), jnp.int32)  # row n is for rows without a string
    carry = (random.key(seed), start, start, jnp.arange(rows), rows, ids, zeros(rows))
    return lax.while_loop(unfinished, advance, carry)[5][:n]


def load(source: Source) -> Peer:
    return Jax(source)
