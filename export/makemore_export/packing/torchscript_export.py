"""The step as a TorchScript file, for whoever has PyTorch and wants no ONNX."""

from __future__ import annotations

import io
import warnings
import zipfile

import torch
from makemore.artifact import METADATA_KEY, Artifact
from makemore.fingerprints import FINGERPRINTS_KEY, Fingerprints

from makemore_export.packing.step_module import StepModule


def to_torchscript(
    step: StepModule, artifact: Artifact, fingerprints: Fingerprints | None = None
) -> bytes:
    """The file for any batch size, with the artifact's metadata as an extra file, and another for
    the fingerprints of its training lines, if any.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # torch.jit is deprecated in favour of torch.export, which no C++ runtime reads everywhere.
        warnings.simplefilter("ignore", DeprecationWarning)
        # What a trace fixes, such as a number of rows, the comparison of batch sizes finds.
        warnings.filterwarnings("ignore", category=torch.jit._trace.TracerWarning)
        traced = torch.jit.trace(step, step.example(rows=2), check_trace=False)  # type: ignore[no-untyped-call]
        extra = {f"{METADATA_KEY}.json": artifact.to_json()}
        if fingerprints is not None:
            extra[FINGERPRINTS_KEY] = fingerprints.to_text()
        torch.jit.save(traced, buffer, _extra_files=extra)
    return _without_origin(buffer)


def _without_origin(buffer: io.BytesIO) -> bytes:
    """The same archive less its debug records, which name the source files it was traced from."""
    result = io.BytesIO()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(result, "w") as new:
        for entry in old.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry))
    return result.getvalue()
