"""The PyTorch side of makemore: data, models, training, and export of what the runtime samples.

    from makemore_export import StateSpec, export_model, load_model

PyTorch is imported with the first of these names, not with this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from makemore.artifact import StateSpec
    from makemore.errors import CheckpointError, ExportError

    from makemore_export.models import Model
    from makemore_export.packing.loaded_model import LoadedModel, load_model
    from makemore_export.packing.model_card import Report
    from makemore_export.packing.module_export import export_model

__all__ = [
    "CheckpointError",
    "ExportError",
    "LoadedModel",
    "Model",
    "Report",
    "StateSpec",
    "export_model",
    "load_model",
]

_HOMES = {
    "CheckpointError": "makemore.errors",
    "ExportError": "makemore.errors",
    "LoadedModel": "makemore_export.packing.loaded_model",
    "Model": "makemore_export.models",
    "Report": "makemore_export.packing.model_card",
    "StateSpec": "makemore.artifact",
    "export_model": "makemore_export.packing.module_export",
    "load_model": "makemore_export.packing.loaded_model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
