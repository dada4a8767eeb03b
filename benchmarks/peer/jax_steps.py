"""Steps of the models in JAX, on the weights of PyTorch by their names there.

Each takes tokens (B,) at positions (B,) and the state as the artifact's step has it, and gives
logits (B, V) and the next state. At position 0 what the state holds counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax, nn
from makemore_export.models import Model

State = list[Array]
Weights = dict[str, Array]
Step = Callable[[Weights, Array, Array, State], tuple[Array, State]]


def transformer(model: Model) -> Step:
    """GPT-2 with a KV cache."""
    n_layer, n_head, epsilon = model.config.n_layer, model.config.n_head, model.ln.eps

    def norm(w: Weights, name: str, x: Array) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scale = lax.rsqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return centred * scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    def step(w: Weights, token: Array, position: Array, state: State) -> tuple[Array, State]:
        x = w["token_embedding.weight"][token] + w["position_embedding.weight"][position]
        rows, width = x.shape
        slots = state[0].shape[1]
        heads = (rows, slots, n_head, width // n_head)
        future = jnp.arange(slots) > position[:, None]  # (B, T)
        caches = []
        for layer in range(n_layer):
            block = f"blocks.{layer}"
            qkv = linear(w, f"{block}.attention", norm(w, f"{block}.ln_1", x))
            query, key, value = jnp.split(qkv, 3, 1)
            at = jnp.arange(rows), position
            keys = state[2 * layer].at[at].set(key)
            values = state[2 * layer + 1].at[at].set(value)
            query = query.reshape(rows, n_head, -1) / math.sqrt(width // n_head)
            scores = jnp.einsum("bhd,bthd->bht", query, keys.reshape(heads))
            shares = nn.softmax(jnp.where(future[:, None], -jnp.inf, scores), axis=-1)
            y = jnp.einsum("bht,bthd->bhd", shares, values.reshape(heads)).reshape(rows, width)
            x = x + linear(w, f"{block}.projection", y)
            hidden = linear(w, f"{block}.mlp_up", norm(w, f"{block}.ln_2", x))
            x = x + linear(w, f"{block}.mlp_down", nn.gelu(hidden, approximate=True))
            caches += [keys, values]
        return norm(w, "ln", x) @ w["head.weight"].T, caches

    return step


def gru(_: Model) -> Step:
    """Layers of gated units."""

    def step(w: Weights, token: Array, position: Array, state: State) -> tuple[Array, State]:
        x = w["embedding.weight"][token]
        after = []
        for layer, kept in enumerate(state):
            hidden = jnp.where(position[:, None] == 0, 0, kept)
            read = x @ w[f"layers.weight_ih_l{layer}"].T + w[f"layers.bias_ih_l{layer}"]
            old = hidden @ w[f"layers.weight_hh_l{layer}"].T + w[f"layers.bias_hh_l{layer}"]
            (read_r, read_u, read_n), (old_r, old_u, old_n) = (
                jnp.split(gates, 3, 1) for gates in (read, old)
            )
            new = jnp.tanh(read_n + nn.sigmoid(read_r + old_r) * old_n)
            x = new + nn.sigmoid(read_u + old_u) * (hidden - new)
            after.append(x)
        return linear(w, "head", x), after

    return step


def mlp(model: Model) -> Step:
    """A window of the last tokens."""
    direct = model.config.direct

    def step(w: Weights, token: Array, position: Array, state: State) -> tuple[Array, State]:
        before = jnp.where(position[:, None] == 0, 0, state[0])
        window = jnp.concatenate([before, token[:, None]], axis=1)  # (B, context)
        x = w["embedding.weight"][window].reshape(len(token), -1)
        logits = linear(w, "head", jnp.tanh(linear(w, "hidden", x)))
        if direct:
            logits = logits + x @ w["direct.weight"].T
        return logits, [window[:, 1:]]

    return step


def linear(w: Weights, name: str, x: Array) -> Array:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


STEPS: dict[str, Callable[[Model], Step]] = {"transformer": transformer, "gru": gru, "mlp": mlp}
