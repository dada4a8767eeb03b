"""The file that a command writes: whole under its name, or not there at all."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from makemore.errors import OptionError

if sys.platform != "win32":
    import fcntl

TERMINATED = 143
"""The shell's exit code for SIGTERM."""


@contextmanager
def output_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file beside `path`, which takes its place when the block ends without an error.

    It has the mode of the file that it replaces. SIGTERM ends the block as an error does, and the
    process with 143. A pipe or a device, such as /dev/null, is written to: nothing must take its
    place. `OptionError` for a folder, for a symbolic link to a file, and where writing fails.
    """
    try:
        if path.is_dir():
            raise OptionError(f"{path}: is a folder; name a file")
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield stream
            return
        if path.is_symlink():
            raise OptionError(f"{path}: is a symbolic link; name the file that it points to")
        with _ended_by_sigterm(), _replacement(path) as stream:
            yield stream
    except OSError as error:
        raise OptionError(f"{path}: cannot be written: {error.strerror or error}") from None


@contextmanager
def _replacement(path: Path) -> Iterator[IO[bytes]]:
    _remove_left(path)
    partial = path.with_name(f"{_prefix(path)}{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as stream:
            with contextlib.suppress(OSError):  # of the many that network drives answer
                _lock(stream)
            if path.exists():
                shutil.copymode(path, partial)  # before there is anything to read
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    return f".{path.name}.makemore-"


def _remove_left(path: Path) -> None:
    """Removes what killed processes left of `path`: a file that is still written is locked."""
    for partial in path.parent.glob(f"{glob.escape(_prefix(path))}{'[0-9a-f]' * 8}"):
        if partial.is_symlink() or not partial.is_file():
            continue
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                partial.unlink()  # fails where it is open
                continue
            with partial.open("rb") as stream:
                _lock(stream)
                partial.unlink()


def _lock(stream: IO[bytes]) -> None:
    """Takes the lock of a file, which the system releases when the process ends, however it ends.

    `BlockingIOError` where another has it; on Windows there is none.
    """
    if sys.platform != "win32":
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Inside, SIGTERM ends the process as `sys.exit` does, which leaves no partial file.

    Not in a thread, which cannot ask for signals, nor where somebody does or ignores them.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
