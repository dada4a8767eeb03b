"""The file that a command writes: whole under its name, or not there at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from makemore.errors import OptionError


@contextmanager
def output_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file beside `path`, which takes its place when the block ends without an error.

    A pipe or a device, such as /dev/null, is written to: nothing must take its place. `OptionError`
    for a folder, for a symbolic link to a file, and where writing fails.
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
        with _replacement(path) as stream:
            yield stream
    except OSError as error:
        raise OptionError(f"{path}: cannot be written: {error.strerror or error}") from None


@contextmanager
def _replacement(path: Path) -> Iterator[IO[bytes]]:
    partial = path.with_name(f".{path.name}.makemore-{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
