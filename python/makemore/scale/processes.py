"""Tasks on processes of this machine, which may die.

`concurrent.futures` does not say which task a worker died of, ends the others with it, and cannot
end workers at Ctrl-C; so each has a pipe here.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from makemore.errors import WorkerError
from makemore.scale.tasks import Job, Result, Task, run_task

DEATHS = 3
"""Workers that may die of one task."""

_spawn = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold


class _Worker:
    """A process that makes one shard at a time."""

    def __init__(self, job: Job) -> None:
        self.connection, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_serve, args=(theirs, job), daemon=True)
        with _interrupts_blocked():  # Ctrl-C is for this process, which then ends the others
            self.process.start()
        theirs.close()
        self.task: Task | None = None

    def give(self, task: Task) -> None:
        self.task = task
        with suppress(OSError):  # it is dead: that is seen when its answer is read
            self.connection.send(task)

    def answer(self) -> Any:
        """What came of its task, a result or an exception; None, and it keeps it, where it died."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            return None
        self.task = None
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def run_in_processes(
    job: Job, tasks: Sequence[Task], workers: int
) -> Generator[Result, None, None]:
    """The results of tasks, as they come. A task whose worker dies is given to a new one;
    `WorkerError` where `DEATHS` have died of it.
    """
    todo = deque(tasks)
    deaths: Counter[str] = Counter()
    pool: list[_Worker] = []
    try:
        pool += (_Worker(job) for _ in range(min(workers, len(tasks))))
        for worker in pool:
            worker.give(todo.popleft())
        while busy := {worker.connection: worker for worker in pool if worker.task is not None}:
            for connection in wait([*busy]):
                worker = busy[connection]  # type: ignore[index]
                answer = worker.answer()
                if answer is None:
                    pool.remove(worker)
                    todo.appendleft(_left_by(worker, deaths))
                    worker = _Worker(job)
                    pool.append(worker)
                if todo:
                    worker.give(todo.popleft())
                if isinstance(answer, Exception):
                    raise answer
                if answer is not None:
                    yield answer
    finally:
        for worker in pool:
            worker.end()


def _left_by(worker: _Worker, deaths: Counter[str]) -> Task:
    """The task of a worker that died; `WorkerError` where too many have died of it."""
    task: Task = worker.task  # type: ignore[assignment]
    worker.end()
    deaths[task.file] += 1
    if deaths[task.file] == DEATHS:
        raise WorkerError(
            f"{DEATHS} workers died of {task.file}, the last with exit code "
            f"{worker.process.exitcode} (-9: killed, as for want of memory; try fewer workers)"
        )
    return task


def _serve(connection: Connection, job: Job) -> None:
    with suppress(EOFError, OSError):  # who asked is gone
        while True:
            task = connection.recv()
            connection.send(_answer(job, task))


def _answer(job: Job, task: Task) -> Result | Exception:
    try:
        return run_task(job, task)
    except Exception as error:  # whatever it is, the process that asked raises it
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
        except Exception:
            return RuntimeError(f"{type(error).__name__}: {error}")
        return error


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Started with the first process, it would unblock them for that one.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
