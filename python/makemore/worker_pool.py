"""The workers of a sampler between its calls: steps, with caches that have one budget."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable

from makemore import _core
from makemore.errors import StepError
from makemore.step import Step

IDLE_SECONDS = 10.0
"""A cache that was not used for so long, while others were, is freed."""


class WorkerPool:
    """Lends workers to calls, of any thread; only those whose cache is of use are kept."""

    def __init__(self, vocab_size: int, cache_bytes: int) -> None:
        """A pool of steps with `vocab_size` logits; `cache_bytes`: for all caches together."""
        self._vocab_size = vocab_size
        self._budget = _core.CacheBudget(cache_bytes)
        # Idle workers, and when each was used last; the last one is lent first.
        self._idle: deque[tuple[float, _core.Worker]] = deque()

    def borrow(self, new_step: Callable[[], Step], count: int) -> list[_core.Worker]:
        """Idle workers, whose caches know earlier calls, and such over new steps as far as there
        are too few.

        `StepError` for a step of another vocabulary.
        """
        workers: list[_core.Worker] = []
        try:
            while len(workers) < count:
                workers.append(self._idle.pop()[1])
        except IndexError:  # no more are idle
            pass
        while len(workers) < count:
            workers.append(self._new_worker(new_step()))
        return workers

    def _new_worker(self, step: Step) -> _core.Worker:
        if step.vocab_size != self._vocab_size:
            raise StepError(
                f"a step has {step.vocab_size} logits; the vocabulary has {self._vocab_size}"
            )
        if isinstance(step, _core.SnapshotStep):
            return _core.Worker(step, self._budget)
        return _core.Worker(step if isinstance(step, _core.Step) else _core.PythonStep(step))

    def give_back(self, workers: list[_core.Worker], now: float) -> None:
        """Takes back the workers of a call that succeeded; those of one that failed are dropped.

        now: a `time.monotonic()`.
        """
        for worker in workers:
            if worker.cache_bytes:
                self._idle.append((now, worker))
        if len(self._idle) > len(workers):
            self._drop_unused(now - IDLE_SECONDS)

    def _drop_unused(self, before: float) -> None:
        with contextlib.suppress(IndexError):  # another thread may take the last one
            while self._idle[0][0] < before:
                self._idle.popleft()
