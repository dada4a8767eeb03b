"""The prefixes that most strings begin with, and the thread that computes what follows them."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import sys
import threading
import time
import weakref
from pathlib import Path

from makemore import _core
from makemore.errors import CancelledError

FIRST_COUNT = 2_048
FIRST_BYTES = 8 << 20
FIRST_MICROSECONDS = 8_000
"""Most prefixes, bytes and time while a model is loaded."""

FIRST_SECONDS = 0.05
"""Time of calls after which more of them are looked for."""

MOST_PREFIXES = 1 << 18
"""Most of them in all."""

_LOGITS_SHARE = 0.4
"""Of their memory, for the logits of prefixes whose state finds no room beside them."""

_NICENESS = 10
"""Of the thread, where a thread has one: calls come first."""

_LONGEST_END = 10.0
"""Seconds: the number of an ended thread could have become another one's."""


class CommonPrefixes:
    """Those of a model, which its samplers share: more of them as more calls are made.

    To find them takes no longer than the calls before took, but for the first ones. So a model that
    makes few strings is no slower for them, and takes little memory. Where a step takes no longer
    than to read memory, there are the first ones alone. The likeliest keep the state after them,
    too, as far as memory goes.
    """

    def __init__(self, step: _core.SnapshotStep, max_length: int, cache_bytes: int) -> None:
        """step: of its own. max_length: tokens of a prefix at most. cache_bytes: for these and the
        prefix caches; `max_bytes` of it are theirs.

        `OrtError` where not even the first step can be run.
        """
        self._step = step
        self._max_length = max_length
        self._count, self._states = _most(step, 3 * cache_bytes // 4)
        self.max_bytes = self._count * step.common_prefix_bytes + self._states * step.snapshot_bytes
        self._called = self._spent = 0.0  # seconds
        self._next = FIRST_SECONDS
        self._has_all = threading.Event()
        self._token = _core.CancellationToken()
        self._thread: threading.Thread | None = None
        self.lock = threading.RLock()  # a signal handler may call a sampler, too
        first = min(FIRST_COUNT, FIRST_BYTES // max(1, _whole_bytes(step)), self._states)
        step.find_common_prefixes(first, first, max_length, FIRST_MICROSECONDS)
        if step.is_cheap or first >= self._count:
            self._has_all.set()
        with _lock:
            _all.add(self)

    @property
    def has_all(self) -> bool:
        """Whether none is left to be found."""
        return self._has_all.is_set()

    def __del__(self) -> None:
        self._token.cancel()

    def end_call(self, seconds: float) -> None:
        """Called after a call of so many seconds: finds more of them, if calls took long enough for
        it, in a thread of its own.
        """
        self._called += seconds
        if self._called >= self._next:
            with self.lock:
                self._begin()

    def _begin(self) -> None:
        if self._called < self._next or (self._thread is not None and self._thread.is_alive()):
            return
        if self.has_all:
            self._next = math.inf
            return
        seconds = self._called - self._spent
        self._spent, self._next = self._called, 2 * self._called
        limits = self._count, self._states, self._max_length
        thread = threading.Thread(
            target=_find,
            args=(self._step, limits, seconds, self._token, self._has_all),
            name="makemore",
            daemon=True,
        )
        with contextlib.suppress(RuntimeError):  # a system without threads, or without one more
            thread.start()
            self._thread = thread

    def stop(self, for_good: bool = False) -> None:
        """Ends the thread, within a step; unless `for_good`, a later call may begin another one.
        Called with the lock held.
        """
        if self._thread is not None:
            self._token.cancel()
            _join(self._thread)
            self._thread, self._token = None, _core.CancellationToken()
            self._spent = self._next = 0.0
        if for_good:
            self._next = math.inf


def _whole_bytes(step: _core.SnapshotStep) -> int:
    """Of a prefix with its state."""
    return step.common_prefix_bytes + step.snapshot_bytes


def _most(step: _core.SnapshotStep, limit: int) -> tuple[int, int]:
    """Of how many prefixes the logits fit in `limit` bytes, and of how many the state, too."""
    of_logits = step.common_prefix_bytes
    if not of_logits:
        return 0, 0
    most = FIRST_COUNT if step.is_cheap else MOST_PREFIXES
    count = min(most, max(int(_LOGITS_SHARE * limit) // of_logits, limit // _whole_bytes(step)))
    return count, min(count, (limit - count * of_logits) // step.snapshot_bytes)


def _find(
    step: _core.SnapshotStep,
    limits: tuple[int, int, int],
    seconds: float,
    token: _core.CancellationToken,
    has_all: threading.Event,
) -> None:
    """For so many seconds of a core, which it may have to wait for."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            niceness = max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
    end = time.thread_time() + seconds
    with contextlib.suppress(CancelledError):
        while (left := end - time.thread_time()) > 0:
            if not step.find_common_prefixes(*limits, math.ceil(1e6 * left), token):
                has_all.set()
                break


def _join(thread: threading.Thread) -> None:
    """Until the system has no such thread: Python's join returns before, while the thread still
    holds locks (an allocator's, say) that the child of a fork would wait for.
    """
    thread.join()
    task = Path(f"/proc/self/task/{thread.native_id}")  # where there is no /proc, there is none
    end = time.monotonic() + _LONGEST_END
    while task.exists() and time.monotonic() < end:
        time.sleep(0.0001)


_all: weakref.WeakSet[CommonPrefixes] = weakref.WeakSet()
_lock = threading.RLock()
_held: list[CommonPrefixes] = []  # by a fork


def _before_fork() -> None:
    """The child has no such thread, but may need a lock that it holds."""
    _lock.acquire()
    for common in list(_all):
        common.lock.acquire()
        _held.append(common)
        common.stop()


def _after_fork() -> None:
    while _held:
        _held.pop().lock.release()
    _lock.release()


def _end_all() -> None:
    """At the end of the process, where strings may still be made."""
    with _lock:
        for common in list(_all):
            with common.lock:
                common.stop(for_good=True)


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
