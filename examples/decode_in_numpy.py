"""Samples an artifact with onnxruntime and NumPy alone, as docs/artifact.md describes it.

    python examples/decode_in_numpy.py names/model.onnx 5 1

prints what `mm-sample names -n 5 --seed 1` prints. No makemore is imported.
"""

from __future__ import annotations

import itertools
import json
import sys

import numpy as np
import onnxruntime
from numpy.typing import NDArray


def coins(seed: int, rows: NDArray[np.uint64], position: int) -> NDArray[np.float64]:
    """Philox4x32-10 of each row: uniform numbers in [0, 1), (B,)."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    key = np.array([seed % 2**32, seed >> 32], np.uint64)
    c = [rows & low, rows >> half, np.full_like(rows, position), np.zeros_like(rows)]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [b >> half ^ c[1] ^ key[0], b & low, a >> half ^ c[3] ^ key[1], a & low]
        key = key + np.array([0x9E3779B9, 0xBB67AE85], np.uint64) & low
    return (c[1] << half | c[0]) // np.uint64(2**11) * 2.0**-53


def sample(path: str, n: int, seed: int) -> list[str]:
    """The first n strings with default options: the empty one is left out."""
    strings: list[str] = []
    for first_row in itertools.count(0, n):
        strings += filter(None, decode(path, n, seed, first_row))
        if len(strings) >= n:
            break
    return strings[:n]


def decode(path: str, n: int, seed: int, first_row: int = 0) -> list[str]:
    """The strings of n rows, all in one batch."""
    session = onnxruntime.InferenceSession(path)
    about = json.loads(session.get_modelmeta().custom_metadata_map["makemore"])
    if about["schema"] > 3:
        raise ValueError(f"{path}: schema {about['schema']} is newer than 3")
    is_word = about.get("level") == "word"
    tokens = about["tokens" if about["schema"] > 1 else "characters"]
    labels = about.get("labels", [])  # a string begins with one, which has no text
    texts = [*tokens, *([""] * (is_word + len(labels)))]
    inputs = [value.name for value in session.get_inputs()]
    states = [np.zeros((n, *state["shape"]), state["dtype"]) for state in about["states"]]
    rows, token, strings = np.arange(n, dtype=np.uint64), np.zeros(n, np.int64), [""] * n
    first = np.uint64(first_row)
    for position in range(about["max_length"] + bool(labels)):
        if rows.size == 0:
            break
        feeds = [token, np.full_like(token, position), *states]
        logits, *states = session.run(None, dict(zip(inputs, feeds, strict=True)))
        logits = logits.astype(np.float64)  # (B, V)
        if is_word:
            logits[:, len(tokens) + 1] = -np.inf  # unknown is never made
        cumulative = np.exp(logits - logits.max(1, keepdims=True)).cumsum(1)
        target = coins(seed, first + rows, position) * cumulative[:, -1]
        token = (cumulative <= target[:, None]).sum(1)  # the first id above the target
        going = token != 0
        rows, token, states = rows[going], token[going], [state[going] for state in states]
        for row, i in zip(rows.tolist(), token.tolist(), strict=True):
            strings[row] += texts[i - 1]
    return [string.removeprefix(" ") for string in strings] if is_word else strings


if __name__ == "__main__":
    path, n, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print("\n".join(sample(path, n, seed)))
