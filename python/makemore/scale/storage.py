"""A folder on any filesystem that pyarrow knows, in which files are whole or not there."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from makemore.errors import OptionError

if sys.platform != "win32":
    import fcntl

_PARTIAL = ".partial"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Folder:
    """A folder, which pickles; `name`: as the caller wrote it."""

    name: str
    filesystem: Any
    path: str

    @classmethod
    def of(cls, place: str | os.PathLike[str]) -> Folder:
        """A local path, or a URI that `pyarrow.fs.FileSystem.from_uri` takes."""
        if "://" not in os.fspath(place):
            local = Path(place).expanduser().absolute()
            return cls(str(place), fs.LocalFileSystem(), local.as_posix())
        try:
            filesystem, path = fs.FileSystem.from_uri(place)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise OptionError(f"{place}: no filesystem is known for it: {error}") from None
        return cls(str(place), filesystem, path)

    @classmethod
    def of_file(cls, place: str | os.PathLike[str]) -> tuple[Folder, str]:
        """The folder of a file, and the file's name in it; `OptionError` where a folder has it."""
        whole = cls.of(place)
        if whole.filesystem.get_file_info(whole.path).type == fs.FileType.Directory:
            raise OptionError(f"{whole.name}: is a folder; name a file")
        path, _, file = whole.path.rpartition("/")
        return cls(whole.name, whole.filesystem, path), file

    def create(self) -> None:
        """Makes the folder, if need be; `OptionError` where a file has its name."""
        if self.filesystem.get_file_info(self.path).type == fs.FileType.File:
            raise OptionError(f"{self.name}: is a file; name a folder")
        self.filesystem.create_dir(self.path, recursive=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside, no other run works in the folder; `OptionError` where one does already.

        The system releases the lock when the process ends, however it ends. Windows, network drives
        that know no locks and other filesystems have none: there the caller sees to it.
        """
        if sys.platform == "win32" or not isinstance(self.filesystem, fs.LocalFileSystem):
            yield
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            with suppress(OSError):  # network drives say in many ways that they know none
                _lock(descriptor, self.name)
            yield
        finally:
            with suppress(OSError):  # closing it is not enough: a process forked inside has it, too
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def files(self) -> dict[str, Any]:
        """The files in it by name, each with its size and time; not those of folders in it."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        found = self.filesystem.get_file_info(selector)
        return {each.base_name: each for each in found if each.type == fs.FileType.File}

    def read(self, name: str) -> bytes | None:
        """What a file holds; None where it is not there."""
        try:
            with self.open(name) as stream:
                data: bytes = stream.read()
                return data
        except FileNotFoundError:
            return None

    def open(self, name: str) -> Any:
        """A file of pyarrow, to read at any place."""
        return self.filesystem.open_input_file(f"{self.path}/{name}")

    @contextmanager
    def replacement(self, name: str) -> Iterator[HashingFile]:
        """A new file beside `name`, which takes its place when the block ends without an error."""
        partial = f"{self.path}/.{name}.{secrets.token_hex(4)}{_PARTIAL}"
        try:
            with self.filesystem.open_output_stream(partial, compression=None) as stream:
                yield HashingFile(stream)
            self.filesystem.move(partial, f"{self.path}/{name}")
        except BaseException:
            with suppress(OSError):
                self.filesystem.delete_file(partial)
            raise

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where it is not there."""
        size: int | None = self.filesystem.get_file_info(f"{self.path}/{name}").size
        return size

    def remove_partial(self) -> None:
        """Removes what was begun and never ended, by a process that was killed."""
        for name in self.files():
            if name.startswith(".") and name.endswith(_PARTIAL):
                with suppress(OSError):
                    self.filesystem.delete_file(f"{self.path}/{name}")

    def sha256(self, name: str) -> str | None:
        """Of a file; None where it is not there."""
        found = hashlib.sha256()
        try:
            with self.open(name) as stream:
                while block := stream.read(_BLOCK):
                    found.update(block)
        except FileNotFoundError:
            return None
        return found.hexdigest()


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OptionError(
            f"{name}: another run works in it; wait for its end, or name another folder"
        ) from None


class HashingFile:
    """A file to write to, whose bytes are counted and hashed on the way."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: Any) -> int:
        """Writes bytes, or a buffer of pyarrow."""
        self._hash.update(data)
        self._stream.write(data)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes were written."""
        return self.bytes

    def flush(self) -> None:
        """Nothing: the file is whole once it is closed."""

    def close(self) -> None:
        """Nothing: its folder closes it."""

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._hash.hexdigest()
