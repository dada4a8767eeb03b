"""Shards made by other processes, which die, are stopped, or are on a cluster."""

import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path

import pytest
from makemore import DataError, OptionError, OrtError
from makemore.errors import WorkerError
from makemore.source import sha256_of
from tiny_artifacts import FOLDER

pq = pytest.importorskip("pyarrow.parquet")
from makemore import scale  # noqa: E402
from makemore.scale.processes import run_in_processes  # noqa: E402
from makemore.scale.storage import Folder  # noqa: E402
from makemore.scale.tasks import Task  # noqa: E402

BIGRAM = FOLDER / "bigram"
ROWS = 400_000
SHARD_ROWS = 50_000
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """Of the rows made by this process."""
    return generate(tmp_path_factory.mktemp("one") / "made", workers=1).digest


def generate(folder, **options):
    return scale.generate(BIGRAM, ROWS, 7, folder, shard_rows=SHARD_ROWS, **options)


def test_processes_make_the_same_rows(tmp_path, digest):
    assert generate(tmp_path / "made", workers=2).digest == digest
    assert scale.verify(tmp_path / "made") == []
    assert multiprocessing.active_children() == []


def test_any_executor_makes_the_same_rows(tmp_path, digest):
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        assert generate(tmp_path / "made", executor=executor).digest == digest


class ElsewhereExecutor(Executor):
    """Says that it has made a shard, and has not."""

    def submit(self, _, job, task):
        future = Future()
        shard = scale.Shard(
            file=task.file, first_row=task.first_row, rows=1, strings=1, bytes=1, sha256="0" * 64
        )
        future.set_result(scale.Result(shard, "made"))
        return future


def test_shards_that_are_written_on_another_machine_are_missed(tmp_path):
    with pytest.raises(DataError, match="a worker wrote it where this process does not see it"):
        generate(tmp_path / "made", executor=ElsewhereExecutor())


def test_dask_makes_the_same_rows(tmp_path, digest):
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("distributed is not installed")
    code = f"""
from distributed import Client, LocalCluster
from makemore import scale
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            made = scale.generate({str(BIGRAM)!r}, {ROWS}, 7, {str(tmp_path / "made")!r},
                                  shard_rows={SHARD_ROWS}, executor=client.get_executor())
            print(made.digest)
"""
    assert run_file(tmp_path, code).split() == [digest]


@posix
def test_workers_that_are_killed_change_nothing(tmp_path, digest):
    killed = []

    def kill(_):
        if len(killed) < 2:
            child = multiprocessing.active_children()[0]
            os.kill(child.pid, signal.SIGKILL)
            killed.append(child.pid)

    assert generate(tmp_path / "made", workers=2, on_result=kill).digest == digest
    assert len(killed) == 2
    assert scale.verify(tmp_path / "made") == []
    assert not [each for each in (tmp_path / "made").iterdir() if each.name.startswith(".")]


class DeadlyJob:
    """Ends the process that works at it."""

    def __init__(self, folder):
        self.folder = folder

    def make(self, task):
        os._exit(3)


class FailingJob(DeadlyJob):
    def make(self, task):
        raise OrtError(f"{task.file} cannot be made")


class UnpicklableError(Exception):
    def __init__(self, one, two):
        super().__init__(one)


class OddJob(DeadlyJob):
    def make(self, task):
        raise UnpicklableError("odd", 2)


TASKS = [Task("shard 0", 0, 1), Task("shard 1", 1, 1)]


def test_a_task_that_kills_three_workers_ends_the_run(tmp_path):
    with pytest.raises(WorkerError, match="3 workers died of shard 0, the last with exit code 3"):
        [*run_in_processes(DeadlyJob(Folder.of(tmp_path)), TASKS, 1)]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("job", "error", "message"),
    [
        (FailingJob, OrtError, "shard 0 cannot be made"),
        (OddJob, RuntimeError, "UnpicklableError: odd"),
    ],
)
def test_the_error_of_a_worker_is_raised_here(tmp_path, job, error, message):
    with pytest.raises(error, match=message):
        [*run_in_processes(job(Folder.of(tmp_path)), TASKS, 1)]
    assert multiprocessing.active_children() == []


@posix
def test_ctrl_c_is_not_for_workers_the_first_one_too(tmp_path):
    code = """
import signal
from makemore.scale.processes import run_in_processes
from makemore.scale.tasks import Task
class Job:
    folder = None
    def make(self, task):
        raise RuntimeError(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
if __name__ == "__main__":
    try:
        [*run_in_processes(Job(), [Task("shard", 0, 1)], 1)]
    except RuntimeError as error:
        print(error)
"""
    assert run_file(tmp_path, code).split() == ["True"]


def begin(tmp_path, rows):
    """`mm-sample --rows` in a session of its own, once it has made some shards."""
    # A job in the background ignores Ctrl-C.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from makemore.commands.sample import sample; sample()"
    )
    options = ["--rows", rows, "--shard-rows", SHARD_ROWS, "--workers", 2, "--seed", 7]
    command = [sys.executable, "-c", script, BIGRAM, *options, "-o", tmp_path / "made"]
    process = subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len([*(tmp_path / "made").glob("rows-*")]) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


@posix
@pytest.mark.parametrize("to_all", [True, False], ids=["terminal", "kill"])
def test_ctrl_c_keeps_the_shards_that_are_whole(tmp_path, to_all):
    process = begin(tmp_path, 500 * SHARD_ROWS)
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, "", "")
    told = json.loads((tmp_path / "made" / "manifest.json").read_text())
    assert 0 < len(told["shards"]) < 500
    assert not [*(tmp_path / "made").glob(".*")]
    for each in told["shards"]:
        assert sha256_of(tmp_path / "made" / each["file"]) == each["sha256"]


@posix
def test_a_run_that_was_killed_goes_on_and_its_workers_end(tmp_path, digest):
    process = begin(tmp_path, ROWS)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)  # until the workers, which hold its pipes, have ended
    (tmp_path / "made" / ".rows.parquet.0000.partial").touch()  # of a worker that was killed, too
    assert generate(tmp_path / "made", workers=1).digest == digest
    assert scale.verify(tmp_path / "made") == []
    assert not [*(tmp_path / "made").glob(".*")]


def run_file(tmp_path, code):
    """What a program prints; a file, for workers import it."""
    (tmp_path / "program.py").write_text(code)
    command = [sys.executable, str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ray_makes_the_same_rows_though_its_workers_are_killed(tmp_path, digest):
    pytest.importorskip("ray", reason="ray is not installed")
    code = f"""
import os, signal, time
from pathlib import Path
from makemore import scale

killed = []

def kill(result):
    deadline = time.monotonic() + 20
    while len(killed) < 2 and time.monotonic() < deadline:
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if (each / "cmdline").read_text().startswith("ray::run_task"):
                    os.kill(int(each.name), signal.SIGKILL)
                    killed.append(each.name)
                    return
            except OSError:
                pass

if __name__ == "__main__":
    made = scale.generate({str(BIGRAM)!r}, {ROWS}, 7, {str(tmp_path / "made")!r},
                          shard_rows={SHARD_ROWS}, ray="local", workers=2, on_result=kill)
    print(made.digest, len(killed))
"""
    if sys.platform != "linux":
        pytest.skip("looks for workers in /proc")
    told = run_file(tmp_path, code).splitlines()  # Ray itself tells of workers that died
    assert told[-1].split() == [digest, "2"]
    assert scale.verify(tmp_path / "made") == []


def test_a_ray_that_is_not_there_is_told(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason="ray is not installed")

    def init(**_):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(OptionError, match="ray is 'nowhere:1': nobody answers"):
        scale.generate(BIGRAM, 10, 1, tmp_path / "made", ray="nowhere:1")


def run_example(name, *arguments):
    example = Path(__file__).parents[1] / "examples" / name
    command = [sys.executable, example, *arguments]
    done = subprocess.run([*map(str, command)], capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr.decode()


def test_the_recipe_for_a_pool_makes_the_same_rows(tmp_path, digest):
    run_example("rows_in_a_pool.py", BIGRAM, ROWS, tmp_path / "rows.parquet")
    assert scale.digest(pq.read_table(tmp_path / "rows.parquet")) == digest


def test_the_recipe_for_spark_makes_the_same_rows(tmp_path, digest):
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("pyspark or Java is not installed")
    run_example("spark_rows.py", BIGRAM, ROWS, tmp_path / "rows")
    assert scale.digest(pq.read_table(tmp_path / "rows")) == digest


@pytest.mark.resident_memory
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in KiB")
def test_memory_does_not_grow_with_the_rows_of_a_shard(tmp_path):
    def peak(rows):
        code = f"""
import resource
from makemore import scale
if __name__ == "__main__":
    scale.generate({str(BIGRAM)!r}, {rows}, 7, {str(tmp_path / str(rows))!r}, workers=1,
                   shard_rows={rows})
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
        return int(run_file(tmp_path, code)) / 1024

    assert peak(2_500_000) < peak(600_000) + 30
