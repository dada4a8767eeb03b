"""What executors and Ray tell of workers that died becomes an error of makemore."""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace

import pytest
from makemore import OrtError
from makemore.errors import WorkerError

pytest.importorskip("pyarrow")
from makemore.scale.engines import Engine
from makemore.scale.tasks import Task

TASKS = [Task("shard 0", 0, 1), Task("shard 1", 1, 1)]


class DeadlyJob:
    """Ends the process that works at it."""

    folder = None

    def make(self, task):
        os._exit(3)


def test_an_executor_whose_workers_die_is_told_then_and_whenever_it_is_used_again():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        for _ in range(2):  # at the second time it refuses the tasks
            with pytest.raises(WorkerError, match=r"the executor's workers died: .*process pool"):
                [*Engine(executor=executor).results(DeadlyJob(), TASKS)]


# Stand-ins for Ray's own, which is large and mostly not installed.
class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        self.cause = cause


class OutOfMemoryError(RayError):
    pass


@pytest.mark.parametrize(
    ("call", "told", "error", "message"),
    [
        ("put", RayError("is full"), WorkerError, "Ray gave a shard up: RayError: is full"),
        ("get", OutOfMemoryError("node 3"), WorkerError, "shard up: OutOfMemoryError: node 3"),
        ("get", RayTaskError(OrtError("shard 0 cannot")), OrtError, "shard 0 cannot"),
    ],
)
def test_whatever_ray_tells_is_an_error_of_makemore(monkeypatch, call, told, error, message):
    def fails(_):
        raise told

    ended = []
    calls = {
        "is_initialized": lambda: False,
        "init": lambda **_: None,
        "shutdown": lambda: ended.append("Ray"),
        "remote": lambda **_: lambda _: SimpleNamespace(remote=lambda _, task: task.file),
        "put": lambda job: job,
        "wait": lambda pending, num_returns: (pending[:num_returns], pending[num_returns:]),
        "cancel": lambda task, force: ended.append(task),
        "exceptions": SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError),
    }
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(**calls | {call: fails}))
    with pytest.raises(error, match=message):
        [*Engine(workers=1, ray="local").results(DeadlyJob(), TASKS)]
    assert ended == (["Ray"] if call == "put" else ["shard 1", "Ray"])
