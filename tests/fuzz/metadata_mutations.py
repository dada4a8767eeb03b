"""Mutations of the metadata, the JSON string inside the file."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import byte_mutations
import numbers_pool

Metadata = dict[str, Any]
DEPTHS = (20, 200, 900, 1100, 20_000)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below `value`, all levels."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        at = waiting.pop()
        keys = list(at) if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
        for key in keys:
            found.append((at, key))
            waiting.append(at[key])
    return found


def odd_value(rng: random.Random) -> Any:
    return rng.choice(
        (
            numbers_pool.integer,
            lambda rng: rng.choice(numbers_pool.TOO_WIDE),
            numbers_pool.real,
            numbers_pool.text,
            lambda _: None,
            lambda _: True,
            lambda _: [],
            lambda _: {},
            lambda _: [[]],
            lambda _: "1",
            lambda rng: [numbers_pool.integer(rng) for _ in range(rng.randrange(5))],
        )
    )(rng)


def _place(metadata: Metadata, rng: random.Random) -> tuple[Any, Any]:
    """Any place, but one of hundreds of tokens or golden strings no more often than the others."""
    found = places(metadata)
    few = [(at, key) for at, key in found if isinstance(at, dict)]
    return rng.choice(few if rng.random() < 0.7 else found)


def set_any(metadata: Metadata, rng: random.Random) -> None:
    at, key = _place(metadata, rng)
    at[key] = odd_value(rng)


def set_number(metadata: Metadata, rng: random.Random) -> None:
    """A number becomes another of its type, which is what a type check lets pass."""
    numbers = [(at, key) for at, key in places(metadata) if type(at[key]) in (int, float)]
    at, key = rng.choice(numbers)
    kind = numbers_pool.integer if type(at[key]) is int else numbers_pool.real
    at[key] = kind(rng)


def set_size(metadata: Metadata, rng: random.Random) -> None:
    key = rng.choice(("block_size", "max_length", "schema"))
    metadata[key] = rng.choice((numbers_pool.integer(rng), None, metadata.get("max_length")))


def set_both_lengths(metadata: Metadata, rng: random.Random) -> None:
    """`block_size` and `max_length` that fit each other, whatever the model's are."""
    size = abs(numbers_pool.integer(rng))
    metadata["block_size"] = rng.choice((size, None))
    metadata["max_length"] = max(1, size - 1)


def set_text(metadata: Metadata, rng: random.Random) -> None:
    texts = [(at, key) for at, key in places(metadata) if isinstance(at[key], str)]
    at, key = rng.choice(texts)
    at[key] = numbers_pool.text(rng)


def drop(metadata: Metadata, rng: random.Random) -> None:
    at, key = _place(metadata, rng)
    del at[key]


def rename(metadata: Metadata, rng: random.Random) -> None:
    at, key = rng.choice([(at, key) for at, key in places(metadata) if isinstance(at, dict)])
    at[rng.choice((key.upper(), key + "s", "", "characters", "tokens"))] = at.pop(key)


def nest(metadata: Metadata, rng: random.Random) -> None:
    at, key = _place(metadata, rng)
    value = at[key]
    # Marked here and unfolded in the text: the encoder has a limit of its own.
    at[key] = f"@nest:{rng.choice(DEPTHS)}:{rng.choice('[{')}@"
    if rng.random() < 0.5:
        metadata["model"] = {"type": "x", "config": {"deep": at[key]}, "parameters": 0}
        at[key] = value


def change_tokens(metadata: Metadata, rng: random.Random) -> None:
    name = "characters" if "characters" in metadata else "tokens"
    tokens = metadata[name]
    change = rng.randrange(6)
    if change == 0:
        metadata[name] = tokens + tokens[:1]
    elif change == 1:
        metadata[name] = tokens[: rng.randrange(len(tokens) + 1)]
    elif change == 2:
        tokens[rng.randrange(len(tokens))] = numbers_pool.text(rng)
    elif change == 3:
        metadata[name] = [chr(0x10000 + i) for i in range(rng.choice((1, 300, 5000)))]
    elif change == 4:
        metadata["level"] = rng.choice(("word", "character", "sentence", None))
    else:
        rng.shuffle(tokens)


def change_state(metadata: Metadata, rng: random.Random) -> None:
    states = metadata["states"]
    if not states or rng.random() < 0.1:
        states.append({"name": "s", "dtype": "float32", "shape": [numbers_pool.integer(rng)]})
        return
    state = rng.choice(states)
    key = rng.choice(("time_axis", "shape", "dtype", "name"))
    if key == "time_axis":
        state[key] = rng.choice((None, *range(-2, 4), numbers_pool.integer(rng)))
    elif key == "shape":
        state[key] = [numbers_pool.integer(rng) for _ in range(rng.randrange(6))]
    elif key == "dtype":
        state[key] = rng.choice(("float16", "float32", "int64", "float64", "bool"))
    else:
        state[key] = numbers_pool.text(rng)


def change_golden(metadata: Metadata, rng: random.Random) -> None:
    golden = metadata["golden"]
    if rng.random() < 0.5:
        golden["seed"] = rng.choice((numbers_pool.integer(rng), *numbers_pool.TOO_WIDE))
    else:
        count = rng.choice((0, 1, 50, 2000))
        golden["strings"] = [numbers_pool.text(rng) for _ in range(count)]


def _unfold(text: str) -> str:
    """Replaces the marks of `nest` by brackets."""
    while '"@nest:' in text:
        before, _, rest = text.partition('"@nest:')
        mark, _, after = rest.partition('@"')
        depth, _, bracket = mark.partition(":")
        opened, closed = ("[", "]") if bracket == "[" else ('{"a":', "}")
        text = before + opened * int(depth) + "1" + closed * int(depth) + after
    return text


def garble(text: str, rng: random.Random) -> str:
    """The text of the JSON itself: not JSON, or JSON that few encoders write."""
    change = rng.randrange(6)
    if change == 0:
        data = bytearray(text.encode())
        rng.choice(byte_mutations.MUTATIONS)(data, rng)
        return data.decode("utf-8", "replace")
    if change == 1:
        return rng.choice(("", "null", "[]", "{}", "1", '"x"', "\ufeff" + text, text * 2))
    if change == 2:  # a key twice
        return text.replace("{", '{"schema":1,"max_length":1e400,', 1)
    if change == 3:
        return text.replace(":1", ":1" + "0" * rng.choice((30, 400, 5000)), 1)
    if change == 4:
        return text.replace('"', '"\\ud800', rng.randrange(1, 9))
    return text.replace(":", ":" + " " * 100_000, 1)


MUTATIONS: tuple[Callable[[Metadata, random.Random], None], ...] = (
    set_any,
    set_number,
    set_size,
    set_both_lengths,
    set_text,
    drop,
    rename,
    nest,
    change_tokens,
    change_state,
    change_golden,
)


def mutate(text: str, rng: random.Random) -> str:
    """The JSON after one mutation."""
    if rng.random() < 0.15:
        return garble(text, rng)
    metadata = json.loads(text)
    rng.choice(MUTATIONS)(metadata, rng)
    return _unfold(json.dumps(metadata))
