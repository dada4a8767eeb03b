"""Strings one after the other, made as they are taken."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from makemore._core import CancellationToken
from makemore.search.chunk import Chunk

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class SampleStream(Generic[T]):
    """An iterator over strings, or samples, in row order. A chunk of them is made when the last one
    is used up: one at first, then more, up to 65,536.

    Threads may share it: each string goes to one of them. `close`, from any thread, ends the work
    before its next step; so does leaving a `with` block. One that is dropped does no more work.
    """

    def __init__(
        self,
        chunks: Iterator[Chunk],
        read: Callable[[Chunk], Sequence[T]],
        cancellation: CancellationToken,
    ) -> None:
        self._chunks = chunks
        self._read = read
        self._cancellation = cancellation
        self._ready: deque[T] = deque()
        self._lock = threading.RLock()  # of what several threads may take

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._lock:
            if self._cancellation.cancelled:
                raise StopIteration
            if not self._ready:
                self._ready.extend(self.chunk())
            if not self._ready:
                raise StopIteration
            return self._ready.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def chunk(self) -> list[T]:
        """All that is ready, or else the next chunk; empty at the end."""
        with self._lock:
            if self._cancellation.cancelled:
                return []
            if self._ready:
                ready = [*self._ready]
                self._ready.clear()
                return ready
            chunk = next(self._chunks, None)
            return [] if chunk is None else [*self._read(chunk)]

    def close(self) -> None:
        """Ends the stream; a `next` that is running in another thread raises `CancelledError`."""
        self._cancellation.cancel()


class AsyncSampleStream(Generic[T]):
    """The same for asyncio: chunks are made in a thread, one at a time, when they are asked for, so
    that a slow reader holds the work back. `aclose`, or cancelling the task that waits for a
    string, ends the work before its next step.
    """

    def __init__(self, stream: SampleStream[T]) -> None:
        self._stream = stream
        self._ready: deque[T] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if not self._ready:
            try:
                self._ready.extend(await asyncio.to_thread(self._stream.chunk))
            except asyncio.CancelledError:
                self._stream.close()
                raise
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the stream."""
        self._stream.close()
        self._ready.clear()
