"""Tries files, each in a process of its own that is forked from one that has all imported.

So a crash, a hang or a bomb is that of one file, and costs a fork of a few milliseconds.
"""

from __future__ import annotations

import gc
import os
import select
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import mutate
from corpus import corpus
from exercise import exercise

SECONDS = 5.0
"""Of processor time; a file that takes longer hangs."""

BLOCKED = 60.0
"""Seconds by the clock, for what waits and computes nothing; more, as the machine may be busy."""

RESIDENT = 1 << 30
"""Bytes of memory in use; a file that takes more is a bomb."""

_TICK = 0.02  # seconds between looks at the memory of what runs
_INSPECTED = 5  # one mutant of so many goes through mm-inspect too
_TAIL = 2000  # bytes kept of what is written to stderr


class Input(NamedTuple):
    """A file to try: its name, and what makes its bytes, in the process that tries it."""

    name: str
    make: Callable[[], bytes]
    inspect: bool = False


class Outcome(NamedTuple):
    """What became of an input. `finding` is "" where nothing is wrong."""

    name: str
    kind: str
    finding: str
    seconds: float
    resident: int
    stderr: str


@dataclass
class _Child:
    name: str
    pid: int
    pipe: int
    folder: Path
    started: float
    killed: str = ""  # why, where it was killed


def mutants(seeds: Iterable[int]) -> Iterator[Input]:
    """The mutants of those numbers, each of one artifact of the corpus."""
    artifacts = corpus()
    for seed in seeds:
        make = partial(mutate.mutant, artifacts[seed % len(artifacts)][1], seed)
        yield Input(f"mutant {seed}", make, inspect=seed % _INSPECTED == 0)


def run(inputs: Iterable[Input], *, jobs: int) -> Iterator[Outcome]:
    """The outcomes of inputs, as they end, `jobs` at a time."""
    gc.collect()
    gc.freeze()  # so that a child's collection does not copy every page
    waiting = iter(inputs)
    work = Path(tempfile.mkdtemp(prefix="makemore-fuzz-"))
    free = [work / str(number) for number in range(jobs)]
    running: dict[int, _Child] = {}
    try:
        while True:
            while free and (item := next(waiting, None)) is not None:
                child = _start(item, free.pop())
                running[child.pipe] = child
            if not running:
                return
            ended, *_ = select.select(list(running), [], [], _TICK)
            for pipe in ended:
                child = running.pop(pipe)
                yield _finish(child)
                free.append(child.folder)
            for child in running.values():
                _watch(child)
    finally:
        for child in running.values():
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
        shutil.rmtree(work, ignore_errors=True)


def _start(item: Input, folder: Path) -> _Child:
    reading, writing = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(item, folder, writing)
    os.close(writing)
    return _Child(item.name, pid, reading, folder, started)


def _child(item: Input, folder: Path, pipe: int) -> None:
    code = 1
    try:
        folder.mkdir(exist_ok=True)
        stderr = os.open(folder / "stderr", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(stderr, 2)
        (folder / "model.onnx").write_bytes(item.make())
        os.write(pipe, exercise(folder, inspect=item.inspect).encode())
        code = 0
    except BaseException as error:
        os.write(2, "".join(traceback.format_exception(error)[-4:]).encode())
        place = traceback.extract_tb(error.__traceback__)[-1]
        shown = f"{type(error).__name__}: {str(error)[:80]} ({place.name})"
        os.write(pipe, shown.encode())
    finally:
        os._exit(code)


def _watch(child: _Child) -> None:
    """Kills what takes too long or too much."""
    if child.killed:
        return
    if _processor_seconds(child.pid) > SECONDS:
        child.killed = f"over {SECONDS:g} s"
    elif time.monotonic() - child.started > BLOCKED:
        child.killed = f"blocked for {BLOCKED:g} s"
    elif _resident(child.pid) > RESIDENT:
        child.killed = f"over {RESIDENT >> 20} MiB"
    if child.killed:
        os.kill(child.pid, signal.SIGKILL)


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime


def _resident(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGESIZE")


def _finish(child: _Child) -> Outcome:
    ending = os.read(child.pipe, 4096).decode(errors="replace")
    os.close(child.pipe)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = usage.ru_utime + usage.ru_stime
    resident = usage.ru_maxrss << 10
    finding = child.killed
    if not finding and os.WIFSIGNALED(status):
        finding = signal.Signals(os.WTERMSIG(status)).name
    elif not finding and os.WEXITSTATUS(status) != 0:
        finding = ending or f"exit code {os.WEXITSTATUS(status)}"
    elif not finding and resident > RESIDENT:
        finding = f"over {RESIDENT >> 20} MiB"
    stderr = ""
    if finding:
        stderr = (child.folder / "stderr").read_bytes()[-_TAIL:].decode(errors="replace")
    return Outcome(child.name, ending or "killed", finding, seconds, resident, stderr)
