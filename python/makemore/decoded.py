"""Strings of ids, laid end to end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Decoded(NamedTuple):
    """n strings, as `_core.Strings` has them: `ids[offsets[i]:offsets[i + 1]]` is one, without
    start and stop.

    ids: (total,). offsets: (n + 1,). log_probs: (n,), in nats, under the model itself.
    stopped: (n,) 1: the stop token came, 0: cut at max_length. rows: (n,), from 0.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    log_probs: NDArray[np.float64]
    stopped: NDArray[np.uint8]
    rows: NDArray[np.int64]


def end_to_end(
    strings: Sequence[Sequence[int]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids of strings in one array (total,), and the offsets (n + 1,) of each."""
    ids = np.fromiter(chain.from_iterable(strings), dtype=np.int64)
    return ids, np.array([*accumulate(map(len, strings), initial=0)], dtype=np.int64)
