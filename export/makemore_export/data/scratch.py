"""Arrays that are made block by block, and may be larger than memory."""

from __future__ import annotations

import mmap
import tempfile
from contextlib import suppress
from typing import IO, Any
from weakref import finalize

import numpy as np
from makemore.errors import DataError
from numpy.typing import DTypeLike, NDArray

IN_MEMORY = 1 << 25
"""Bytes up to which an array is in memory: those of a list of a few million names."""


class Scratch:
    """Numbers of one type, laid end to end: in memory, or where they are many in a mapped file.

    The system reads of such a file what is used, and takes the memory back when others need it. The
    file is in the folder for temporary files, which TMPDIR names. It has no name, so that nobody
    else can change it, and it is gone when the process ends, however that ends.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._blocks: list[NDArray[Any]] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def add(self, numbers: Any) -> None:
        """More of them; `DataError` where the folder has no room for them."""
        block = np.asarray(numbers).astype(self._dtype)
        self._bytes += block.nbytes
        self._blocks.append(block)
        if self._file or self._bytes > IN_MEMORY:
            try:
                self._write()
            except OSError as error:
                raise DataError(
                    f"{tempfile.gettempdir()}: {self._bytes:,} bytes of the text cannot be written "
                    f"there: {error.strerror}; TMPDIR names another folder for temporary files"
                ) from None

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # open until all is there
            finalize(self, _close, self._file)  # where an error ends the making of it
        for block in self._blocks:
            self._file.write(block.data if block.size else b"")
        self._file.flush()
        self._blocks.clear()

    def array(self) -> NDArray[Any]:
        """All of them; nothing may be added afterwards."""
        if self._file is None:
            return np.concatenate([np.zeros(0, self._dtype), *self._blocks])
        with self._file as file:
            # PyTorch wants an array that may be written to; a page that is becomes a copy.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        return np.frombuffer(mapped, self._dtype)


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # what could not be written is tried again
        file.close()
