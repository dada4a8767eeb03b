"""One string that a model made."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

SAMPLE_COLUMNS = {
    "text": "string",
    "log_prob": "float64",
    "finish_reason": "string",
    "seed": "uint64",
    "row": "uint64",
}
"""The columns of a table of samples, and their Arrow types."""


class Sample(NamedTuple):
    """One string, and what is known of it; the same seed, row and options give it again.

    ids: (length,) int64, start and stop left out. log_prob: natural-log probability under the
    model itself, whatever the options were: of the whole string where it came to its stop, of its
    tokens alone where it was cut at `max_length` (finish_reason "length").
    """

    text: str
    ids: NDArray[np.int64]
    log_prob: float
    finish_reason: Literal["stop", "length"]
    seed: int
    row: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and self._plain() == other._plain()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._plain())

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain Python values, `ids` as a list: what JSON takes."""
        return {**self._asdict(), "ids": self.ids.tolist()}

    def to_json(self) -> str:
        """The fields as one JSON object on one line."""
        return msgspec.json.encode(self.to_dict()).decode()

    def _plain(self) -> tuple[object, ...]:
        return tuple(self._replace(ids=self.ids.tobytes()))  # type: ignore[arg-type]


class SampleColumns(NamedTuple):
    """Strings that a model made, as the columns of a table: no Python object for each.

    utf8: their texts end to end, (total,) uint8. offsets: (n + 1,) int64; text i is the bytes
    `utf8[offsets[i]:offsets[i + 1]]`. log_probs: (n,) float64, as `Sample.log_prob`. rows: (n,)
    uint64.
    """

    utf8: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    log_probs: NDArray[np.float64]
    rows: NDArray[np.uint64]
