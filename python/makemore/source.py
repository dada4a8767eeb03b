"""What an artifact is opened from: a path, the bytes of a file, or a file that is open."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, Any, NamedTuple

from makemore.errors import ArtifactError, OptionError
from makemore.limits import shown

_ZIP = b"PK\3\4"
"""How a TorchScript file begins."""


class Source(NamedTuple):
    """A file or the bytes of one, what messages call it, and whether it is TorchScript."""

    file: Path | bytes
    name: str
    torchscript: bool


def path_of(artifact: str | os.PathLike[str]) -> Path:
    """A path, where `~` is the home folder; `ArtifactError` for what cannot be one."""
    try:
        path = Path(artifact).expanduser()
        path.is_dir()  # the system may refuse a name, as too long
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ArtifactError(f"{shown(os.fspath(artifact))}: {reason}") from None
    return path


def model_file(path: Path) -> Path:
    """The file to open for an artifact, or of its folder; `ArtifactError` where there is none."""
    file = path / "model.onnx" if path.is_dir() else path
    if not file.exists():
        torchscript = path / "model.ts"
        if torchscript.is_file():
            raise ArtifactError(
                f"{path} holds no model.onnx; its model.ts is a program: load {torchscript} with "
                "trust=True (in a command: --trust) if you trust its source"
            )
        raise ArtifactError(f"{file}: no such file")
    if not file.is_file() or file.suffix not in (".onnx", ".ts"):
        raise ArtifactError(f"{file}: an artifact is a folder, a .onnx or a .ts file")
    return file


def source_of(artifact: str | os.PathLike[str] | bytes | IO[bytes], max_bytes: int) -> Source:
    if isinstance(artifact, str | os.PathLike):
        file = model_file(path_of(artifact))
        return Source(file, str(file), file.suffix == ".ts")
    data = _read(artifact, max_bytes + 1) if hasattr(artifact, "read") else artifact
    if not isinstance(data, bytes | bytearray | memoryview):
        raise OptionError(
            f"an artifact is a path, bytes, or a file opened in binary mode, not {artifact!r:.80}"
        )
    data = bytes(data)
    if len(data) > max_bytes:
        raise ArtifactError(f"the bytes given are more than max_bytes = {max_bytes}")
    return Source(data, "the bytes given", data.startswith(_ZIP))


def _read(stream: Any, most: int) -> Any:
    """Up to so many bytes: a pipe without a buffer has to be asked for the rest again."""
    parts = []
    while most > 0 and (part := stream.read(most)):
        if not isinstance(part, bytes | bytearray | memoryview):
            return stream
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def sha256_of(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def version_of(file: Path) -> tuple[int, ...]:
    """What tells a file from one that took its place, without reading it."""
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
