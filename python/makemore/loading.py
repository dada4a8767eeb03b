"""From a file to a sampler."""

from __future__ import annotations

import contextlib
import os
import zipfile
from pathlib import Path
from typing import Literal

from makemore import _core
from makemore.artifact import METADATA_KEY, Artifact
from makemore.errors import ArtifactError, OptionError, OrtError
from makemore.runtime.cores import usable_cores
from makemore.runtime.cuda_libraries import require_cuda
from makemore.runtime.device_sampler import DeviceSampler
from makemore.runtime.onnxruntime_library import open_library
from makemore.sampler import Sampler
from makemore.step import Step

Device = Literal["cpu", "cuda", "auto"]


def load(
    path: str | os.PathLike[str], *, device: Device = "cpu", threads: int | None = None
) -> Sampler:
    """Opens an artifact: its folder, a `model.onnx`, or a `model.ts` (which needs PyTorch).

    device: "cpu", "cuda", or "auto", which takes CUDA where it can be had and says in
      `Sampler.device` what it took.
    threads: batches decoded at once; None takes every core that this process may use, and one for a
      `model.ts`, whose own operations PyTorch spreads over the cores. A GPU samples one batch.

    Raises `ArtifactError` for a file that is no artifact or too new, `OrtError` where ONNX Runtime
    or the device cannot be had, `OptionError` for an unknown device.
    """
    if device not in ("cpu", "cuda", "auto"):
        raise OptionError(f"device is {device!r}; it must be 'cpu', 'cuda' or 'auto'")
    file = model_file(Path(path))
    if file.suffix == ".ts":
        return _load_torchscript(file, device, 1 if threads is None else threads)
    if threads is None:
        threads = usable_cores()
    if device == "auto":
        with contextlib.suppress(OrtError):
            return _load_onnx(file, "cuda", threads)
        device = "cpu"
    return _load_onnx(file, device, threads)


def model_file(path: Path) -> Path:
    """The file to open for an artifact, or of its folder; `ArtifactError` where there is none."""
    file = path / "model.onnx" if path.is_dir() else path
    if not file.exists():
        raise ArtifactError(f"{file}: no such file")
    if not file.is_file() or file.suffix not in (".onnx", ".ts"):
        raise ArtifactError(f"{file}: an artifact is a folder, a .onnx or a .ts file")
    return file


def _load_onnx(file: Path, device: Literal["cpu", "cuda"], threads: int) -> Sampler:
    library = open_library()
    if device == "cuda":
        require_cuda(library)
    model = _core.OnnxModel(library, file, cuda=device == "cuda")
    text = model.metadata(METADATA_KEY)
    if not text:
        raise ArtifactError(f"{file}: an ONNX file, but not made by mm-export: no metadata")
    artifact = Artifact.from_json(text, str(file))
    _check_contract(file, artifact, model)
    time_axes = [state.time_axis for state in artifact.states]

    if device == "cuda":
        on_device = _core.DeviceModel(model, time_axes, artifact.block_size)
        return DeviceSampler(artifact, on_device)

    def new_step() -> Step:
        return _core.cpu_step(model, time_axes, artifact.block_size)

    new_step()  # finds a bad time axis now
    return Sampler(artifact, new_step, threads=threads)


def _check_contract(file: Path, artifact: Artifact, model: _core.OnnxModel) -> None:
    said = [(state.name, state.dtype, tuple(state.shape)) for state in artifact.states]
    found = [(state.name, state.dtype, tuple(state.shape)) for state in model.states]
    if said != found:
        raise ArtifactError(f"{file}: the metadata names states {said}, the model has {found}")
    if len(artifact.vocabulary) != model.vocab_size:
        raise ArtifactError(
            f"{file}: the vocabulary has {len(artifact.vocabulary)} tokens, "
            f"the model gives {model.vocab_size} logits"
        )


def _load_torchscript(file: Path, device: Device, threads: int) -> Sampler:
    try:
        with zipfile.ZipFile(file) as archive:
            name = f"extra/{METADATA_KEY}.json"
            entry = next(entry for entry in archive.namelist() if entry.endswith(name))
            artifact = Artifact.from_json(archive.read(entry), str(file))
    except (zipfile.BadZipFile, StopIteration):
        raise ArtifactError(f"{file}: not a TorchScript file made by mm-export") from None
    # torch comes in here, and only for a TorchScript file.
    from makemore.runtime.torch_step import TorchStep, load_module

    module, device = load_module(file, device)
    size = len(artifact.vocabulary)

    def new_step() -> Step:
        return TorchStep(module, artifact.states, size, device, artifact.block_size)

    return Sampler(artifact, new_step, device=device, threads=threads)
