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
from makemore_export.models.blend import Blend
from makemore_export.models.ngram import Ngram

from peer import NotComparableError

State = list[Array]
Weights = dict[str, Array]
Step = Callable[[Weights, Array, Array, State], tuple[Array, State]]
Write = Callable[[Array, Array, Array], Array]
"""Of a cache (B, T, C), positions (B,) and a vector of each row (B, C): the next cache."""


def by_mask(cache: Array, position: Array, x: Array) -> Array:
    """Writes the whole cache, in one loop with what reads it."""
    here = jnp.arange(cache.shape[1]) == position[:, None]  # (B, T)
    return jnp.where(here[..., None], x[:, None], cache)


def by_scatter(cache: Array, position: Array, x: Array) -> Array:
    """Writes one slot of each row."""
    return cache.at[jnp.arange(len(cache)), position].set(x)


def transformer(model: Model, write: Write) -> Step:
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
            keys = write(state[2 * layer], position, key)
            values = write(state[2 * layer + 1], position, value)
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


def gru(_: Model, __: Write) -> Step:
    """Layers of gated units."""

    def step(w: Weights, token: Array, position: Array, state: State) -> tuple[Array, State]:
        x, after = w["embedding.weight"][token], []
        for layer, kept in enumerate(state):
            hidden = begun(position, kept)
            read, old = gates(w, layer, x, hidden)
            (read_r, read_u, read_n), (old_r, old_u, old_n) = (
                jnp.split(of_all, 3, 1) for of_all in (read, old)
            )
            new = jnp.tanh(read_n + nn.sigmoid(read_r + old_r) * old_n)
            x = new + nn.sigmoid(read_u + old_u) * (hidden - new)
            after.append(x)
        return linear(w, "head", x), after

    return step


def lstm(_: Model, __: Write) -> Step:
    """Layers of gated units with a cell each."""

    def step(w: Weights, token: Array, position: Array, state: State) -> tuple[Array, State]:
        x, after = w["embedding.weight"][token], []
        for layer in range(len(state) // 2):
            hidden, cell = (begun(position, kept) for kept in state[2 * layer : 2 * layer + 2])
            read, old = gates(w, layer, x, hidden)
            input_gate, forget, candidate, output = jnp.split(read + old, 4, 1)
            cell = nn.sigmoid(forget) * cell + nn.sigmoid(input_gate) * jnp.tanh(candidate)
            x = nn.sigmoid(output) * jnp.tanh(cell)
            after += [x, cell]
        return linear(w, "head", x), after

    return step


def mlp(model: Model, _: Write) -> Step:
    """A window of the last tokens."""
    direct = model.config.direct

    def step(w: Weights, token: Array, position: Array, state: State) -> tuple[Array, State]:
        before = begun(position, state[0])
        window = jnp.concatenate([before, token[:, None]], axis=1)  # (B, context)
        x = w["embedding.weight"][window].reshape(len(token), -1)
        logits = linear(w, "head", jnp.tanh(linear(w, "hidden", x)))
        if direct:
            logits = logits + x @ w["direct.weight"].T
        return logits, [window[:, 1:]]

    return step


def ngram(model: Model, _: Write) -> Step:
    """Tables of what follows each context; raises `NotComparableError` for a sparse n-gram."""
    if not isinstance(model, Ngram) or len(model.levels):
        raise NotComparableError("an n-gram of sparse levels, which are not written in JAX")

    def step(w: Weights, token: Array, position: Array, state: State) -> tuple[Array, State]:
        vocab_size = w["logits"].shape[1]
        context = w["next"][begun(position, state[0]) * vocab_size + token]
        return w["logits"][context], [w["state"][context]]

    return step


def blend(model: Model, write: Write) -> Step:
    """A mean of the components' probabilities."""
    assert isinstance(model, Blend)
    kinds = [spec.model for spec in model.config.parts]
    sizes = [len(component.states()) for component in model.components()]
    steps = [
        find_step(kind)(component, write)
        for kind, component in zip(kinds, model.components(), strict=True)
    ]

    def step(w: Weights, token: Array, position: Array, state: State) -> tuple[Array, State]:
        mixed, following, rest = jnp.zeros(()), [], state
        for i, (own_step, size) in enumerate(zip(steps, sizes, strict=True)):
            head = f"parts.{i}."
            own = {name.removeprefix(head): x for name, x in w.items() if name.startswith(head)}
            logits, after = own_step(own, token, position, rest[:size])
            mixed = mixed + w["weights"][i] * nn.softmax(logits, axis=-1)
            following, rest = following + after, rest[size:]
        return jnp.log(mixed), following

    return step


def gates(w: Weights, layer: int, x: Array, hidden: Array) -> tuple[Array, Array]:
    """What the gates of a layer get from its input and from its hidden units, each (B, G)."""
    read = x @ w[f"layers.weight_ih_l{layer}"].T + w[f"layers.bias_ih_l{layer}"]
    old = hidden @ w[f"layers.weight_hh_l{layer}"].T + w[f"layers.bias_hh_l{layer}"]
    return read, old


def begun(position: Array, kept: Array) -> Array:
    """The state of rows whose strings have begun; zeros for the others."""
    return jnp.where(position.reshape(-1, *[1] * (kept.ndim - 1)) == 0, 0, kept)


def linear(w: Weights, name: str, x: Array) -> Array:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


STEPS: dict[str, Callable[[Model, Write], Step]] = {
    step.__name__: step for step in (transformer, gru, lstm, mlp, ngram, blend)
}


def find_step(kind: str) -> Callable[[Model, Write], Step]:
    """The maker of a model's step; `NotComparableError` for a model without one."""
    if kind not in STEPS:
        raise NotComparableError(f"written for {', '.join(STEPS)} only")
    return STEPS[kind]
