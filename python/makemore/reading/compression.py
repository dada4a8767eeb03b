"""Compressed files, told by their first bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import IO, Any, NamedTuple

from makemore.errors import DataError, MissingDependencyError

MAX_UNPACKED = 2**30
"""Most bytes that a compressed text may have when it is unpacked."""

_BLOCK = 2**20  # so that a small file takes little memory


class Compression(NamedTuple):
    """A format: how its files begin, what unpacks one by hand, and what opens it here."""

    name: str
    begins: re.Pattern[bytes]
    command: str
    modules: tuple[str, ...]


_ZSTD = ("compression.zstd", "backports.zstd")  # of Python 3.14, and the same for older ones

COMPRESSIONS = (
    Compression("gzip", re.compile(rb"\x1f\x8b\x08"), "gzip -dk", ("gzip",)),
    Compression("xz", re.compile(rb"\xfd7zXZ\x00"), "xz -dk", ("lzma",)),
    Compression("bzip2", re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), "bzip2 -dk", ("bz2",)),
    Compression("zstd", re.compile(rb"\x28\xb5\x2f\xfd"), "zstd -d", _ZSTD),
)

SUFFIXES = (".gz", ".xz", ".bz2", ".zst")


def unpacked(name: str, data: bytes, limit: int = MAX_UNPACKED) -> tuple[bytes, str | None]:
    """The bytes that `data` holds in compressed form, and the name of that form; else `data`, None.

    `DataError` for a broken file, or one that unpacks to more than `limit` bytes.
    """
    found = compression_of(data)
    if found is None:
        return data, None
    return b"".join(unpacked_blocks(name, data, found, limit)), found.name


def compression_of(data: bytes | memoryview) -> Compression | None:
    """The format of compressed bytes; None for others."""
    return next((each for each in COMPRESSIONS if each.begins.match(data)), None)


def unpacked_blocks(
    name: str, data: bytes | memoryview, found: Compression, limit: int = MAX_UNPACKED
) -> Iterator[bytes]:
    """What `unpacked` gives, block by block."""
    opened = _opener(name, found)
    size = 0
    try:
        with opened(io.BytesIO(data)) as stream:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > limit:
                    raise DataError(
                        f"{name}: {len(data):,} bytes of {found.name} unpack to more than "
                        f"{limit:,}, the limit for compressed files; if you trust the file, "
                        f"unpack it first ({found.command}), and name the unpacked one"
                    )
                yield block
    except DataError:
        raise
    except Exception as error:  # each format has errors of its own
        raise DataError(
            f"{name}: {found.name} that cannot be unpacked: {error}; is it whole?"
        ) from None


def _opener(name: str, found: Compression) -> Callable[[IO[bytes]], Any]:
    for module in found.modules:
        try:
            opened: Callable[[IO[bytes]], Any] = import_module(module).open
        except ImportError:
            continue
        return opened
    cure = "pip install backports.zstd" if found.name == "zstd" else "a Python that has it"
    raise MissingDependencyError(
        f"{name}: is compressed with {found.name}, which this Python cannot read: {cure}, or "
        f"unpack it first: {found.command}"
    )
