"""A TorchScript file is a zip archive: what it says of itself is read before PyTorch unpacks it."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

from makemore.artifact import MAX_METADATA, METADATA_KEY
from makemore.errors import ArtifactError
from makemore.fingerprints import FINGERPRINTS_KEY

_MAX_ENTRIES = 100_000
_ENCRYPTED = 0x1


def read_metadata(file: Path | bytes, name: str, max_bytes: int) -> bytes:
    """The artifact's metadata in a TorchScript file, which messages call `name`.

    Raises `ArtifactError` for a file that holds none, or that may not be unpacked: with more than
    `max_bytes` in all, encrypted, or compressed in ways that PyTorch does not use.
    """
    metadata = _read(file, name, max_bytes, f"{METADATA_KEY}.json")
    if metadata is None:
        raise ArtifactError(f"{name}: not a TorchScript file made by mm-export")
    return metadata


def read_fingerprints(file: Path | bytes, name: str, max_bytes: int) -> bytes:
    """The fingerprints of the training lines in such a file, empty where it holds none."""
    return _read(file, name, max_bytes, FINGERPRINTS_KEY) or b""


def _read(file: Path | bytes, name: str, max_bytes: int, extra: str) -> bytes | None:
    try:
        with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as archive:
            entries = archive.infolist()
            _check(entries, name, max_bytes)
            entry = next((e for e in entries if e.filename.endswith(f"extra/{extra}")), None)
            if entry is None:
                return None
            if extra != FINGERPRINTS_KEY and entry.file_size > MAX_METADATA:
                raise ArtifactError(
                    f"{name}: {entry.file_size} bytes of metadata; the limit is {MAX_METADATA}"
                )
            return archive.read(entry)
    except OSError as error:
        raise ArtifactError(f"{name}: {error.strerror or error}") from None
    except zipfile.BadZipFile:
        raise ArtifactError(f"{name}: not a TorchScript file made by mm-export") from None
    except (NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{name}: its archive cannot be read: {error}") from None


def _check(entries: list[zipfile.ZipInfo], name: str, max_bytes: int) -> None:
    if len(entries) > _MAX_ENTRIES:
        raise ArtifactError(f"{name}: {len(entries)} entries; the limit is {_MAX_ENTRIES}")
    size = sum(entry.file_size for entry in entries)
    if size > max_bytes:
        raise ArtifactError(
            f"{name}: it unpacks to {size} bytes, more than max_bytes = {max_bytes}"
        )
    for entry in entries:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArtifactError(
                f"{name}: {entry.filename!r} is compressed by method {entry.compress_type}; "
                "a TorchScript file knows 0 and 8"
            )
        if entry.flag_bits & _ENCRYPTED:
            raise ArtifactError(f"{name}: {entry.filename!r} is encrypted")
