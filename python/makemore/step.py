"""The one contract between a model and the decode loop."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Step(Protocol):
    """A model as a state machine, for a batch of rows. Token 0 starts and stops a string.

    One step belongs to one decode at a time; a `Sampler` makes as many as it needs.
    """

    @property
    def vocab_size(self) -> int:
        """V, the number of logits a row."""

    def reset(self, rows: int) -> None:
        """Starts fresh rows with zero state."""

    def run(self, tokens: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Feeds tokens (B,) at positions (B,); returns the logits (B, V) of what comes next."""

    def select(self, parents: NDArray[np.int64]) -> None:
        """Row i becomes what row `parents[i]` was.

        A parent keeps its own place, `parents[p] == p`, or lies past the new number of rows.
        """
