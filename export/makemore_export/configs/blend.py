"""The options of a blend: those of the models that it is a mixture of."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from makemore_export.configs.model_configs import ModelConfig
from makemore_export.configs.recipe import Recipe


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model of the table with every option chosen; `recipe` is None for one that counts."""

    model: str
    config: dict[str, Any]
    recipe: Recipe | None = None


class BlendConfig(ModelConfig, frozen=True, kw_only=True):
    """The components, called `parts` in options and files, are trained one after the other, each as
    it would be alone, from its own seed.
    """

    recipe: ClassVar[Recipe | None] = None

    parts: Annotated[tuple[ModelSpec, ...], Meta(min_length=2)]
