"""The artifact of a run, as its workers open it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from makemore.errors import ArtifactError, OrtError
from makemore.loading import MAX_BYTES, load_again
from makemore.once import lazy
from makemore.runtime.onnxruntime_library import open_library
from makemore.sampler import Sampler
from makemore.source import sha256_of, source_of


@dataclass(frozen=True)
class Model:
    """An artifact: where its file lies, or its bytes; it pickles.

    versions: of what decides a string and its log-probability, where the run was begun.
    """

    file: Path | bytes
    sha256: str
    versions: dict[str, str]

    @classmethod
    def of(cls, artifact: str | os.PathLike[str] | bytes, *, as_bytes: bool) -> Model:
        """as_bytes: whether workers may not see the file."""
        source = source_of(artifact, MAX_BYTES)
        if source.torchscript:
            raise ArtifactError(f"{source.name}: workers open no TorchScript: name a model.onnx")
        file = source.file
        if isinstance(file, bytes):
            return cls(file, hashlib.sha256(file).hexdigest(), _versions())
        found = sha256_of(file)
        return cls(file.read_bytes() if as_bytes else file.absolute(), found, _versions())

    def open(self) -> Sampler:
        """A sampler with one thread. Raises `ArtifactError` where the file has changed, `OrtError`
        where this machine has other versions than the one that began the run.
        """
        found = _versions()
        for package, expected in self.versions.items():
            if found[package] != expected:
                raise OrtError(
                    f"a worker has {package} {found[package]}; the run was begun with {expected}"
                )
        return load_again(self.file, self.sha256, {"threads": 1})

    @lazy
    def sampler(self) -> Sampler:
        """The same, opened once in a process that makes several shards."""
        return self.open()


def _versions() -> dict[str, str]:
    return {"makemore": version("makemore"), "onnxruntime": open_library().version}
