"""How a token ends the loops of a call that are in Python; those in C++ look at it themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from makemore._core import CancellationToken
from makemore.errors import CancelledError

T = TypeVar("T")

_PERIOD = 1024
"""Items from one look at the token to the next."""


def until_cancelled(items: Iterable[T], cancellation: CancellationToken | None) -> Iterator[T]:
    """The items, until the token is cancelled: `CancelledError`."""
    for i, item in enumerate(items):
        if i % _PERIOD == 0 and cancellation is not None and cancellation.cancelled:
            raise CancelledError("the call was cancelled")
        yield item
