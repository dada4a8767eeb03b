"""The models by name. `models/__init__.py` has the table; this knows none of them, so that a model
can be made of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from makemore.errors import OptionError

from makemore_export.models.model import Model

MODELS: dict[str, type[Model]] = {}


def new_model(name: str, config: Mapping[str, Any], vocab_size: int) -> Model:
    """A model of the table, untrained, over `vocab_size` tokens; `OptionError` without one."""
    if name not in MODELS:
        raise OptionError(f"model {name!r} is unknown here; known: {', '.join(MODELS)}")
    cls = MODELS[name]
    return cls(msgspec.convert(config, cls.Config), vocab_size)
