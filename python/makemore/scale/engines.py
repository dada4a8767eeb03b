"""What runs the tasks: processes of this machine, a Ray cluster, or any executor."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from makemore.errors import MissingDependencyError, OptionError, WorkerError
from makemore.limits import integer
from makemore.runtime.cores import usable_cores
from makemore.scale.processes import run_in_processes
from makemore.scale.tasks import Job, Result, Task, run_task

LOCAL = "local"
"""The address of a Ray that is started on this machine, and ended with the run."""

_RAY_RETRIES = 5
_RAY_IN_FLIGHT = 4096  # tasks that Ray knows of at a time; a cluster grows as they are many
_OBJECT_STORE = 1 << 28  # bytes, of a local Ray: it holds the artifact and little else

_WORKERS = integer(1)


class Engine(NamedTuple):
    """Where tasks run: on `ray`, an address, or an `executor`, or else on `workers` processes."""

    workers: int | None = None
    ray: str | None = None
    executor: Executor | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether workers may be on other machines, and see other files than this process."""
        return self.executor is not None or self.ray not in (None, LOCAL)

    def checked(self) -> Engine:
        """The same with a plain number of workers; `OptionError` for what cannot be together."""
        if self.ray is not None and self.executor is not None:
            raise OptionError("ray and executor cannot be used together")
        if self.workers is None:
            return self
        workers = _WORKERS.parse("workers", self.workers)
        if self.elsewhere:
            where = "executor" if self.executor is not None else f"ray {self.ray!r}"
            raise OptionError(f"workers cannot be given with {where}, which has its own")
        return self._replace(workers=workers)

    def results(self, job: Job, tasks: Sequence[Task]) -> Generator[Result, None, None]:
        """The results of tasks, as they come; what is not yet begun ends with the iterator."""
        if self.executor is not None:
            return _on_executor(job, tasks, self.executor)
        workers = usable_cores() if self.workers is None else self.workers
        if self.ray is not None:
            return _on_ray(job, tasks, self.ray, workers)
        if workers == 1:
            return (run_task(job, task) for task in tasks)
        return run_in_processes(job, tasks, workers)


def _on_executor(
    job: Job, tasks: Sequence[Task], executor: Executor
) -> Generator[Result, None, None]:
    futures: list[Future[Result]] = []
    try:
        futures += (executor.submit(run_task, job, task) for task in tasks)
        for future in as_completed(futures):
            yield future.result()
    except BrokenExecutor as error:
        raise WorkerError(f"the executor's workers died: {error}") from None
    finally:
        for future in futures:
            future.cancel()


def _on_ray(
    job: Job, tasks: Sequence[Task], address: str, workers: int
) -> Generator[Result, None, None]:
    try:
        import ray  # noqa: PLC0415
    except ImportError:
        raise MissingDependencyError(
            'ray needs the package ray: pip install "makemore[ray]"'
        ) from None
    started = not ray.is_initialized()
    if started:
        here: dict[str, Any] = {"num_cpus": workers, "object_store_memory": _OBJECT_STORE}
        where = here if address == LOCAL else {"address": address}
        try:
            ray.init(
                **where, include_dashboard=None, log_to_driver=False, logging_level=logging.ERROR
            )
        except Exception as error:  # Ray raises all kinds, its base class too
            raise OptionError(f"ray is {address!r}: {error}") from None
    try:
        yield from _ray_results(ray, job, tasks)
    finally:
        if started:
            ray.shutdown()


def _ray_results(ray: Any, job: Job, tasks: Sequence[Task]) -> Generator[Result, None, None]:
    remote = ray.remote(num_cpus=1, max_retries=_RAY_RETRIES)(run_task)
    left = iter(tasks)
    pending: list[Any] = []
    try:
        held = ray.put(job)  # once, not with every task
        pending += (remote.remote(held, task) for task in islice(left, _RAY_IN_FLIGHT))
        while pending:
            done, pending = ray.wait(pending, num_returns=1)
            pending += (remote.remote(held, task) for task in islice(left, len(done)))
            yield from ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:  # workers that died again and again, nodes, memory
        raise WorkerError(f"Ray gave a shard up: {type(error).__name__}: {error}") from None
    finally:
        for task in pending:
            with suppress(Exception):
                ray.cancel(task, force=True)
