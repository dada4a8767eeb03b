"""Files and folders that are, at every moment, wholly old or wholly new.

Each is prepared beside its target, under a name that nobody else has: it is created, never opened.
What a killed process left behind is removed by the next one that holds the lock of the target.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

_AT_FDCWD = -100  # Linux: paths are relative to the working directory
_RENAME_EXCHANGE = 2  # of Linux' renameat2
_RENAME_SWAP = 2  # of macOS' renamex_np
_MARKER = "made-by-makemore"
"""An empty file in a folder of ours; a folder without it is not ours."""


def write_file(path: Path, data: bytes) -> None:
    """Replaces the file in one step; once this returns, the new one survives a power cut.

    A symbolic link at `path` is replaced too, not followed.
    """
    partial = path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}")
    file = partial.open("xb")
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_partial_files(path: Path) -> None:
    """Removes what killed calls of `write_file` left beside `path`; nobody else may write it."""
    for partial in _prepared_for(path):
        if partial.is_file() and not partial.is_symlink():
            partial.unlink()


@contextmanager
def prepared_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, for `replace_folder`; what is left of it at the end is removed.

    The caller holds the lock of `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _recover(target)
    ours = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    try:
        (ours / _MARKER).touch()
        prepared = ours / "new"
        prepared.mkdir()
        yield prepared
    finally:
        _remove(ours)


def replace_folder(prepared: Path, target: Path) -> None:
    """Moves a `prepared_folder` to `target`, in place of any folder there, which is removed.

    One step where the system can exchange two names: Linux and macOS, on the usual file systems.
    Elsewhere two renames: after a kill between them the next `prepared_folder` puts the old back.
    """
    for path in (*prepared.iterdir(), prepared):
        sync_folder(path)
    if not target.exists():
        prepared.rename(target)
    elif not _exchange(prepared, target):
        target.rename(prepared.with_name("old"))
        prepared.rename(target)
    sync_folder(target.parent)


def _prefix(target: Path) -> str:
    return f".{target.name}.makemore-"


def _prepared_for(target: Path) -> Iterator[Path]:
    """What is beside `target` under a name of `_prefix`."""
    return target.parent.glob(f"{escape(_prefix(target))}*")


def _recover(target: Path) -> None:
    """Removes what killed processes left beside `target`, and puts back what they moved away."""
    for folder in _prepared_for(target):
        if folder.is_symlink() or not (folder / _MARKER).is_file():
            # Without a marker an empty folder is ours: the process was killed before it made the
            # marker, or after it removed it. A folder that is not empty is not ours, and stays.
            with contextlib.suppress(OSError):
                folder.rmdir()
            continue
        if (folder / "old").exists() and not target.exists():
            (folder / "old").rename(target)
        _remove(folder)


def _remove(folder: Path) -> None:
    """The marker is removed last, so that after a kill the rest is still known as ours."""
    for name in ("new", "old"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / _MARKER).unlink(missing_ok=True)
    folder.rmdir()


def sync_folder(path: Path) -> None:
    """Flushes a file or the names in a folder to the disk, where the system can."""
    if path.is_dir() and sys.platform == "win32":
        return  # Windows opens no folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; False where this system or file system cannot."""
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "renameat2"):
        done = libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE) == 0
    elif sys.platform == "darwin" and hasattr(libc := ctypes.CDLL(None), "renamex_np"):
        done = libc.renamex_np(first, second, _RENAME_SWAP) == 0
    else:
        done = False
    return bool(done)
