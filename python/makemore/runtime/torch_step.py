"""A step that PyTorch runs: a TorchScript file or an eager module, behind the same contract."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from makemore.artifact import StateSpec
from makemore.errors import ArtifactError, MissingDependencyError, OptionError, OrtError

if TYPE_CHECKING:
    import torch

    Module = Callable[..., tuple[torch.Tensor, ...]]


class TorchStep:
    """Runs `module(token, position, *state) -> (logits, *next_state)` on its device."""

    def __init__(
        self,
        module: Module,
        states: Sequence[StateSpec],
        vocab_size: int,
        device: str = "cpu",
        block_size: int | None = None,
    ) -> None:
        self.vocab_size = vocab_size
        self._block_size = 2**63 if block_size is None else block_size
        self._torch = _import_torch()
        self._module = module
        self._specs = tuple(states)
        self._device = device
        self._states: tuple[torch.Tensor, ...] = ()

    def reset(self, rows: int) -> None:
        zeros = self._torch.zeros
        self._states = tuple(
            zeros(rows, *spec.shape, dtype=getattr(self._torch, spec.dtype), device=self._device)
            for spec in self._specs
        )

    def run(self, tokens: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        _require_below("a token", tokens, self.vocab_size)
        _require_below("a position", positions, self._block_size)
        with self._torch.inference_mode():
            logits, *states = self._module(
                self._tensor(tokens), self._tensor(positions), *self._states
            )
        if tuple(logits.shape) != (len(tokens), self.vocab_size):
            raise ArtifactError(
                f"the model's logits have shape {tuple(logits.shape)}; "
                f"of {len(tokens)} rows it must be {(len(tokens), self.vocab_size)}"
            )
        self._states = tuple(states)
        values: NDArray[np.float32] = logits.float().cpu().numpy()  # (B, V)
        return values

    def select(self, parents: NDArray[np.int64]) -> None:
        index = self._tensor(parents)
        self._states = tuple(state.index_select(0, index) for state in self._states)

    def _tensor(self, values: NDArray[np.int64]) -> torch.Tensor:
        tensor: torch.Tensor = self._torch.from_numpy(values).to(self._device)
        return tensor


def _require_below(name: str, values: NDArray[np.int64], limit: int) -> None:
    for value in (values.min(initial=0), values.max(initial=0)):
        if not 0 <= value < limit:
            raise OptionError(f"{name} is {value}; it must be >= 0 and below {limit}")


def load_module(
    file: Path | bytes, name: str, device: Literal["cpu", "cuda", "auto"]
) -> tuple[Module, Literal["cpu", "cuda"]]:
    """Opens a TorchScript file on the device asked for, and says which it is."""
    torch = _import_torch()
    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise OrtError(f"device 'cuda' cannot be had: PyTorch {torch.__version__} finds no GPU")
    chosen: Literal["cpu", "cuda"] = "cuda" if found and device != "cpu" else "cpu"
    with warnings.catch_warnings():
        # torch.jit is deprecated in favour of torch.export, which no C++ runtime reads everywhere.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            module: Module = torch.jit.load(
                io.BytesIO(file) if isinstance(file, bytes) else str(file), map_location=chosen
            )
        except RuntimeError as error:
            raise ArtifactError(f"{name}: TorchScript cannot load it: {error}") from None
    return module, chosen


def _import_torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingDependencyError(
            "a TorchScript model needs PyTorch: pip install 'makemore[export]', or load model.onnx"
        ) from None
    return torch
