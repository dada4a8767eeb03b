"""From a file to a sampler."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal

from makemore import _core
from makemore.artifact import METADATA_KEY, Artifact
from makemore.common_prefixes import CommonPrefixes
from makemore.decoder import CACHE_BYTES
from makemore.errors import ArtifactError, OptionError, OrtError
from makemore.fingerprints import FINGERPRINTS_KEY, FingerprintReader
from makemore.folders import open_folder
from makemore.limits import integer
from makemore.runtime.cores import usable_cores
from makemore.runtime.cuda_libraries import require_cuda
from makemore.runtime.device_sampler import DeviceSampler
from makemore.runtime.onnxruntime_library import open_library
from makemore.sampler import Sampler
from makemore.source import Source, model_file, path_of, sha256_of, source_of, version_of
from makemore.step import Step

Device = Literal["cpu", "cuda", "auto"]

MAX_BYTES = 2**29
"""Most memory in bytes for a file, for its weights and one step, and for a batch, unless a caller
allows more."""


class LoadedFrom:
    """What was loaded, and how: a pickle of a sampler holds this, not the model."""

    def __init__(self, source: Source, options: dict[str, Any]) -> None:
        self._file = source.file if isinstance(source.file, bytes) else source.file.absolute()
        self._options = options
        self._version = None if isinstance(self._file, bytes) else version_of(self._file)

    def reduce(self) -> tuple[Callable[..., Sampler], tuple[Any, ...]]:
        """A function that loads it again in another process, and its arguments.

        Raises `ArtifactError` for a file that is another one than was loaded.
        """
        if isinstance(self._file, bytes):
            return load_again, (self._file, None, self._options)
        if not self._file.exists() or version_of(self._file) != self._version:
            raise ArtifactError(
                f"{self._file}: it has changed since it was loaded; to pickle it, load it again"
            )
        return load_again, (self._file, sha256_of(self._file), self._options)


def load_again(file: Path | bytes, sha256: str | None, options: dict[str, Any]) -> Sampler:
    """What `load` gave in another process; `ArtifactError` where the file has changed since."""
    if isinstance(file, Path):
        found = sha256_of(model_file(file))
        if found != sha256:
            raise ArtifactError(
                f"{file}: it has changed since the sampler was pickled: "
                f"its SHA-256 is {found}, not {sha256}"
            )
    return load(file, **options)


def load(
    artifact: str | os.PathLike[str] | bytes | IO[bytes],
    *,
    device: Device = "cpu",
    threads: int | None = None,
    trust: bool = False,
    max_bytes: int = MAX_BYTES,
    cache_bytes: int = CACHE_BYTES,
) -> Sampler:
    """Opens an artifact: its folder, a `model.onnx`, or a `model.ts` (which needs PyTorch).

    artifact: a path, where `~` is the home folder; or what a file holds, as bytes or as a file
      opened in binary mode. A folder of a run that `mm-train` wrote is sampled in PyTorch, which it
      needs, on the CPU, by one thread.
    device: "cpu", "cuda", or "auto", which takes CUDA where it can be had and says in
      `Sampler.device` what it took.
    threads: batches decoded at once; None takes every core that this process may use, and one for a
      `model.ts`, whose own operations PyTorch spreads over the cores. A GPU samples one batch.
    trust: True for a file from a source that you trust. A `model.ts` is a program, which can do
      whatever you can, and is opened on trust alone. Of a `model.onnx` operators that no step needs
      are then allowed, such as loops, which may never end.
    max_bytes: most memory that the file may take, that ONNX Runtime may take for its weights and
      what a step computes, and that the states of a batch may take; batches are smaller where those
      of `batch_size` would take more.
    cache_bytes: most memory for what calls have in common, for all threads together; 0 keeps
      nothing. Up to three quarters are for what follows the prefixes that most strings begin with:
      of up to 2,048 it is computed now, in 8 ms at most; of more, in a thread of its own, in no
      more time than calls took. The rest is for the prefixes that came up most in earlier calls.
      Only steps on the CPU that save their states keep anything.

    Raises `ArtifactError` for a file that is no artifact, too new, or asks for more than it may,
    `OrtError` where ONNX Runtime or the device cannot be had, `MissingDependencyError` where
    PyTorch cannot, `OptionError` for an option that cannot be.
    """
    if device not in ("cpu", "cuda", "auto"):
        raise OptionError(f"device is {device!r}; it must be 'cpu', 'cuda' or 'auto'")
    max_bytes = integer(1).parse("max_bytes", max_bytes)
    cache_bytes = integer(0).parse("cache_bytes", cache_bytes)
    if threads is not None:
        threads = integer(1).parse("threads", threads)
    if isinstance(artifact, str | os.PathLike):
        path = path_of(artifact)
        opened = open_folder(path)
        if opened is not None:
            if device == "cuda":
                raise OptionError(f"device is 'cuda'; {path} is a run, which is sampled on the CPU")
            if threads is not None and threads > 1:
                raise OptionError(f"threads is {threads}; {path} is a run, which is sampled on 1")
            return opened
    source = source_of(artifact, max_bytes)
    loaded_from = LoadedFrom(
        source,
        {
            "device": device,
            "threads": threads,
            "trust": trust,
            "max_bytes": max_bytes,
            "cache_bytes": cache_bytes,
        },
    )
    sampler = _open(source, device, threads, trust, max_bytes, cache_bytes)
    sampler._loaded_from = loaded_from
    return sampler


def _open(
    source: Source,
    device: Device,
    threads: int | None,
    trust: bool,
    max_bytes: int,
    cache_bytes: int,
) -> Sampler:
    if source.torchscript:
        if not trust:
            raise ArtifactError(
                f"{source.name}: a TorchScript file is a program: load it with trust=True "
                "(in a command: --trust) if you trust its source, or load model.onnx, which is data"
            )
        return _load_torchscript(source, device, 1 if threads is None else threads, max_bytes)
    if threads is None:
        threads = usable_cores()
    if device == "auto":
        with contextlib.suppress(OrtError):
            return _load_onnx(source, "cuda", threads, trust, max_bytes, cache_bytes)
        device = "cpu"
    return _load_onnx(source, device, threads, trust, max_bytes, cache_bytes)


def _load_onnx(
    source: Source,
    device: Literal["cpu", "cuda"],
    threads: int,
    trust: bool,
    max_bytes: int,
    cache_bytes: int,
) -> Sampler:
    library = open_library()
    if device == "cuda":
        require_cuda(library)
    model = _core.OnnxModel(
        library, source.file, cuda=device == "cuda", trust=trust, max_bytes=max_bytes
    )
    text = model.metadata(METADATA_KEY)
    if not text:
        raise ArtifactError(f"{source.name}: an ONNX file, but not made by mm-export: no metadata")
    artifact = Artifact.from_json(text, source.name)
    _check_contract(source.name, artifact, model)
    time_axes = [state.time_axis for state in artifact.states]
    fingerprints = FingerprintReader(lambda: model.metadata(FINGERPRINTS_KEY), source.name)

    if device == "cuda":
        on_device = _core.DeviceModel(model, time_axes, artifact.block_size)
        device_sampler = DeviceSampler(artifact, on_device)
        device_sampler.fingerprints = fingerprints
        return device_sampler

    def new_step() -> _core.SnapshotStep:
        return _core.cpu_step(model, time_axes, artifact.block_size)

    try:  # the first common prefix is the empty one: what cannot be computed is found now
        common_prefixes = CommonPrefixes(new_step(), artifact.max_length - 1, cache_bytes)
    except OrtError as error:
        raise ArtifactError(f"{source.name}: {error}") from None
    sampler = Sampler(
        artifact,
        new_step,
        threads=threads,
        max_rows=model.max_rows,
        cache_bytes=cache_bytes - common_prefixes.max_bytes,
    )
    sampler.common_prefixes = common_prefixes
    sampler.fingerprints = fingerprints
    return sampler


def _check_contract(name: str, artifact: Artifact, model: _core.OnnxModel) -> None:
    declared = [(state.name, state.dtype, tuple(state.shape)) for state in artifact.states]
    found = [(state.name, state.dtype, tuple(state.shape)) for state in model.states]
    if len(declared) != len(found):
        raise ArtifactError(
            f"{name}: the metadata names {len(declared)} states, the model has {len(found)}"
        )
    for one, other in zip(declared, found, strict=True):
        if one != other:
            raise ArtifactError(f"{name}: the metadata names state {one}, the model has {other}")
    if len(artifact.vocabulary) != model.vocab_size:
        raise ArtifactError(
            f"{name}: the vocabulary has {len(artifact.vocabulary)} tokens, "
            f"the model gives {model.vocab_size} logits"
        )


def _load_torchscript(source: Source, device: Device, threads: int, max_bytes: int) -> Sampler:
    # torch comes in here, and only for a TorchScript file.
    from makemore.runtime.torch_step import TorchStep, load_module
    from makemore.runtime.torchscript_file import read_fingerprints, read_metadata

    artifact = Artifact.from_json(read_metadata(source.file, source.name, max_bytes), source.name)
    module, device = load_module(source.file, source.name, device)
    size = len(artifact.vocabulary)

    def new_step() -> Step:
        return TorchStep(module, artifact.states, size, device, artifact.block_size)

    sampler = Sampler(artifact, new_step, device=device, threads=threads)
    sampler.fingerprints = FingerprintReader(
        lambda: read_fingerprints(source.file, source.name, max_bytes), source.name
    )
    return sampler
