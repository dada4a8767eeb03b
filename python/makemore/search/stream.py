"""Strings one after the other, made as they are taken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from makemore._core import CancellationToken

if TYPE_CHECKING:
    from typing_extensions import Self

    from makemore.search.chunk import Chunk


class SampleStream:
    """An iterator over strings, in row order. A chunk of them is made when the last one is used up:
    one string at first, then more, up to 65,536.

    `close`, from any thread, ends the work before its next step; so does leaving a `with` block.
    One that is dropped does no more work.
    """

    def __init__(self, chunks: Iterator[Chunk], cancellation: CancellationToken) -> None:
        self._chunks = chunks
        self._cancellation = cancellation
        self._ready: deque[str] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while not self._ready:
            if self._cancellation.cancelled:
                raise StopIteration
            self._ready.extend(next(self._chunks).texts)
        return self._ready.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the stream; a `next` that is running in another thread raises `CancelledError`."""
        self._cancellation.cancel()
        self._ready.clear()


class AsyncSampleStream:
    """The same for asyncio: chunks are made in a thread, one at a time, when they are asked for, so
    that a slow reader holds the work back. `aclose`, or cancelling the task that waits for a
    string, ends the work before its next step.
    """

    def __init__(self, chunks: Iterator[Chunk], cancellation: CancellationToken) -> None:
        self._chunks = chunks
        self._cancellation = cancellation
        self._ready: deque[str] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not self._ready:
            if self._cancellation.cancelled:
                raise StopAsyncIteration
            try:
                chunk = await asyncio.to_thread(next, self._chunks, None)
            except asyncio.CancelledError:
                self._cancellation.cancel()
                raise
            if chunk is None:
                raise StopAsyncIteration
            self._ready.extend(chunk.texts)
        return self._ready.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the stream."""
        self._cancellation.cancel()
        self._ready.clear()
