"""Commands run in forks of one process that has imported PyTorch, and killed where one likes."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree"}
_RENAMES = ("renameat2", "renamex_np")  # found through ctypes, whose calls have no event


class Event(NamedTuple):
    """Something that a command is about to do to the files of its work folder."""

    name: str
    path: str

    @property
    def renames(self) -> bool:
        return self.name == "os.rename" or self.name in _RENAMES


def command(name: str) -> click.Command:
    """What `name` starts, as it is installed."""
    (found,) = entry_points(group="console_scripts", name=name)
    return found.load()


class Process:
    """A command in a fork.

    `work` is the folder whose events count: the process ends itself by SIGKILL right before event
    number `kill_at`, and writes each event it comes to into the file `events`.
    """

    def __init__(
        self,
        started: click.Command,
        arguments: list[str],
        work: Path,
        *,
        kill_at: int | None = None,
        events: Path | None = None,
    ) -> None:
        self.stderr = work / f"stderr-{time.monotonic_ns()}"
        self.pid = os.fork()
        if self.pid == 0:
            self._run(started, arguments, work, kill_at, events)
        self._status: int | None = None

    def _run(
        self,
        started: click.Command,
        arguments: list[str],
        work: Path,
        kill_at: int | None,
        events: Path | None,
    ) -> NoReturn:
        code = 99
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(os.open(self.stderr, os.O_CREAT | os.O_WRONLY), 2)
            log = None if events is None else os.open(events, os.O_CREAT | os.O_WRONLY)
            sys.addaudithook(_hook(work, kill_at, log))
            started.main(arguments, prog_name=started.name)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 98
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    def ended(self) -> bool:
        """Whether it has ended, without waiting for that."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def wait(self) -> int:
        """Its exit code, below zero for a signal."""
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(self._status)

    def kill(self) -> int:
        """Kills it if it still runs; its exit code."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def message(self) -> str:
        """What it wrote to stderr, which is then gone."""
        if not self.stderr.exists():  # killed before it opened the file
            return ""
        text = self.stderr.read_text(errors="replace")
        self.stderr.unlink()
        return text


def _hook(work: Path, kill_at: int | None, log: int | None) -> Callable[[str, tuple], None]:
    count = 0

    def hook(name: str, arguments: tuple) -> None:
        nonlocal count
        event = _event(name, arguments, str(work))
        if event is None:
            return
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        if log is not None:
            os.write(log, f"{event.name}\t{event.path}\n".encode())

    return hook


def _event(name: str, arguments: tuple, work: str) -> Event | None:
    if name == "ctypes.dlsym":
        return Event(arguments[1], "") if arguments[1] in _RENAMES else None
    if name == "open":
        path, mode, _ = arguments
        written = (
            isinstance(path, (str, bytes)) and isinstance(mode, str) and set(mode) & set("wax+")
        )
        path = os.fsdecode(path) if written else ""
        return Event(name, path) if path.startswith(work) else None
    if name not in _CHANGES:
        return None
    path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes, Path)) else ""
    inside = path.startswith(work) or not Path(path).is_absolute()  # relative: to an open folder
    return Event(name, path) if inside else None


def read_events(file: Path) -> list[Event]:
    """The events that a process wrote."""
    return [Event(*line.split("\t")) for line in file.read_text().splitlines()]
