"""One process at a time writes a target: a run folder, or the folder of an artifact."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from makemore.errors import OptionError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NO_LOCKS_HERE = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What some network file systems answer: there the caller takes care that nobody else writes."""


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Inside, no other process holds the lock of `target`; `OptionError` where one does already.

    The lock is on an empty file beside the target. The system releases it when the process ends,
    however it ends; a file that a killed process left behind is used, and removed, by the next.
    """
    target = target.resolve()
    path = target.with_name(f".{target.name}.makemore-lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"{path.parent}: cannot be made: {error.strerror}") from None
    descriptor = _lock(path)
    if descriptor is None:
        raise OptionError(
            f"{target}: another process is writing it now; wait for its end, or name another folder"
        )
    try:
        yield
    finally:
        _release(descriptor, path)


def _lock(path: Path) -> int | None:
    """The descriptor of the locked file at `path`; None where another process has locked it."""
    while True:
        try:
            # A symbolic link there is not ours: its target is not opened.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            raise OptionError(f"{path}: cannot be opened to lock it: {error.strerror}") from None
        if not _try_lock(descriptor):
            os.close(descriptor)
            return None
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # its owner removed it just now: others would lock a new file


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _NO_LOCKS_HERE
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _release(descriptor: int, path: Path) -> None:
    """Removes the file while it is still locked, so that nobody has locked it meanwhile."""
    empty = os.fstat(descriptor).st_size == 0  # else the file of that name is another process's
    if empty and sys.platform != "win32":
        with suppress(FileNotFoundError):
            path.unlink()
    os.close(descriptor)
    if empty and sys.platform == "win32":  # which removes no file that is open
        with suppress(OSError):
            path.unlink()
