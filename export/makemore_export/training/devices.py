"""Where to train."""

from __future__ import annotations

import torch
from makemore.errors import OptionError


def find_device(name: str) -> str:
    """The device to train on for an option `--device`; `OptionError` where there is none."""
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if has[device])
    if not has[name]:
        raise OptionError(f"device {name!r} cannot be had: PyTorch {torch.__version__} finds none")
    return name
