"""The config of a model as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shown_config(config: Mapping[str, Any]) -> dict[str, object]:
    """The config, with each part of a blend as a short text: `lstm (n_embd 64, n_hidden 256)`."""
    shown: dict[str, object] = {}
    for name, value in config.items():
        if name == "parts":
            shown |= {f"part {i}": _part(each) for i, each in enumerate(value, start=1)}
        elif isinstance(value, list):
            shown[name] = " and ".join(map(_number, value))
        else:
            shown[name] = value
    return shown


def _part(spec: Mapping[str, Any]) -> str:
    """A component by its model and the options of it, without those of its training."""
    options = ", ".join(
        f"{name} {'none' if value is None else value}" for name, value in spec["config"].items()
    )
    return f"{spec['model']} ({options})" if options else spec["model"]


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
