"""The options of a model: which there are, and what is chosen where they leave it open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from makemore.errors import OptionError

from makemore_export.models import MODELS
from makemore_export.models.blend import Component
from makemore_export.models.recipe import Recipe


def options_of(model: str) -> tuple[str, ...]:
    """Names of the options of a model: the fields of its `Config`, then those of its `Recipe`."""
    cls = MODELS[model]
    return (*cls.Config.__struct_fields__, *(Recipe.__struct_fields__ if cls.recipe else ()))


def choose(model: str, options: Mapping[str, Any], required: Iterable[str]) -> Component:
    """The model with each option that it takes; `OptionError` if it takes not all `required`."""
    fields = options_of(model)
    for name in required:
        if name not in fields:
            raise OptionError(
                f"{flag(name)} does not apply to model {model}, which takes "
                f"{', '.join(map(flag, fields))}"
            )
    cls = MODELS[model]
    config = {name: options[name] for name in cls.Config.__struct_fields__ if name in options}
    recipe = {name: options[name] for name in Recipe.__struct_fields__ if name in options}
    return Component(
        model=model,
        config=msgspec.to_builtins(convert(config, cls.Config)),
        recipe=convert(msgspec.to_builtins(cls.recipe) | recipe, Recipe) if cls.recipe else None,
    )


def flag(name: str) -> str:
    """The command line's option for a field: `--n-layer`."""
    return "--" + name.replace("_", "-")


def convert(options: dict[str, Any], struct: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.convert(options, struct, strict=False)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        name = path.rstrip("`")  # none, where fields do not go together
        what = f"{flag(name)} is {options[name]}: " if name else ""
        raise OptionError(f"{what}{reason}") from None
