"""The options of a model: which there are, and what is chosen where they leave it open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from makemore.errors import OptionError

from makemore_export.models import MODELS, ModelSpec
from makemore_export.models.recipe import Recipe


class Choices:
    """How options become the config and the recipe of a model, and back."""

    def choose(self, model: str, options: Mapping[str, Any], required: Iterable[str]) -> ModelSpec:
        """The model, every option chosen; `OptionError` unless it takes all that are `required`."""
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
        return ModelSpec(
            model=model,
            config=msgspec.to_builtins(convert(config, cls.Config)),
            recipe=convert(msgspec.to_builtins(cls.recipe) | recipe, Recipe)
            if cls.recipe
            else None,
        )

    def options(self, spec: ModelSpec) -> dict[str, Any]:
        """Those of which `choose` makes `spec`."""
        return spec.config | (msgspec.to_builtins(spec.recipe) if spec.recipe else {})

    def based_on(self, base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Options with those of `base` where none is given."""
        return {**base, **given}

    def max_steps(self, spec: ModelSpec) -> int:
        """Most steps of the optimizer that its training takes."""
        return spec.recipe.max_steps if spec.recipe else 0


def options_of(model: str) -> tuple[str, ...]:
    """Names of the options of a model: the fields of its `Config`, then those of its `Recipe`."""
    cls = MODELS[model]
    return (*cls.Config.__struct_fields__, *(Recipe.__struct_fields__ if cls.recipe else ()))


def flag(name: str) -> str:
    """The command line's option for a field: `--n-layer`."""
    return "--" + name.replace("_", "-")


def convert(options: dict[str, Any], struct: type[msgspec.Struct]) -> Any:
    """The struct with these fields; `OptionError` that names the option which it does not take."""
    try:
        return msgspec.convert(options, struct, strict=False)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        name = path.rstrip("`")  # none, where fields do not go together
        what = f"{flag(name)} is {options[name]}: " if name else ""
        raise OptionError(f"{what}{reason}") from None
