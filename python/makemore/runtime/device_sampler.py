"""The sampler of a device: strings are decoded there, and the host sees their tokens alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore.artifact import Artifact
from makemore.options import CUDA_BATCH_SIZE
from makemore.sampler import Sampler


class DeviceSampler(Sampler):
    """A `Sampler` whose strings are decoded on the device; scores are summed up on the host."""

    batch_size = CUDA_BATCH_SIZE

    def __init__(
        self, artifact: Artifact, model: _core.DeviceModel, *, device: str = "cuda"
    ) -> None:
        """A sampler over a model that is on `device`."""
        super().__init__(artifact, lambda: _core.DeviceStep(model), device=device)
        self._model: _core.DeviceModel | None = model

    def close(self) -> None:
        """Frees the model on the device, too."""
        super().close()
        self._model = None

    def _decode(
        self, rows: int, **request: Any
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]:
        scores = request["offsets"].size > 0  # each row has a string of its own
        if scores or self._model is None:
            return super()._decode(rows, **request)
        return _core.decode_on_device(self._model, rows=rows, **request)
