"""Files and folders that are, at every moment, wholly old or wholly new.

Each is prepared under a name beside its target, known in advance, so that what a killed process
left behind is found and removed by the next one. One process at a time writes a target.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

_AT_FDCWD = -100  # Linux: paths are relative to the working directory
_RENAME_EXCHANGE = 2  # of Linux' renameat2
_RENAME_SWAP = 2  # of macOS' renamex_np


def beside(target: Path) -> Path:
    """Where the new `target` is prepared: same folder, so that a rename moves it in."""
    return target.with_name(f".{target.name}.partial")


def write_file(path: Path, data: bytes) -> None:
    """Replaces the file in one step; once this returns, the new one survives a power cut."""
    partial = beside(path)
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def replace_folder(prepared: Path, target: Path) -> None:
    """Moves the folder `prepared` to `target`, in place of any folder there, which is removed.

    One step where the system can exchange two names: Linux and macOS, on the usual file systems.
    Elsewhere two renames: a process killed between them leaves the old folder at `target.old`.
    """
    for path in (*prepared.iterdir(), prepared):
        sync_folder(path)
    if not target.exists():
        prepared.rename(target)
    elif _exchange(prepared, target):
        shutil.rmtree(prepared)
    else:
        old = target.with_name(f"{target.name}.old")
        target.rename(old)
        prepared.rename(target)
        shutil.rmtree(old)
    sync_folder(target.parent)


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
