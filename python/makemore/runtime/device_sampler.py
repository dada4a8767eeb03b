"""The sampler of a device: strings are decoded there, and the host sees their tokens alone."""

from __future__ import annotations

from makemore import _core
from makemore._core import CancellationToken
from makemore.artifact import Artifact
from makemore.errors import OptionError
from makemore.options import CUDA_BATCH_SIZE, DrawOptions
from makemore.sampler import Sampler


class DeviceSampler(Sampler):
    """A `Sampler` whose strings are decoded on the device; scores are summed up on the host."""

    batch_size = CUDA_BATCH_SIZE
    _texts_as_decoded = False

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

    def decode(
        self,
        request: _core.Request,
        rows: int,
        first_row: int = 0,
        seed: int = 0,
        log_probs: bool = True,
        cancellation: CancellationToken | None = None,
    ) -> _core.Strings:
        """Decodes on the device what can be; the rest on the host, over the device's step."""
        if request.needs_host or self._model is None:
            return super().decode(request, rows, first_row, seed, log_probs, cancellation)
        return _core.decode_on_device(
            self._model, request, rows, first_row, seed, log_probs, cancellation
        )

    def _processors(self, options: DrawOptions) -> list[_core.LogitsProcessor]:
        """The graph that samples on the device cannot call back."""
        name = "penalty" if options.adjust is None else "adjust"
        raise OptionError(f"{name} cannot be used on {self.device}; device='cpu' has it")
