"""The options of a model: which there are, and what is chosen where they leave it open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from makemore.errors import OptionError

from makemore_export.configs import CONFIGS, BlendConfig, ModelSpec, Recipe


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
        cls = CONFIGS[model]
        config = {name: options[name] for name in cls.__struct_fields__ if name in options}
        recipe = {name: options[name] for name in Recipe.__struct_fields__ if name in options}
        return ModelSpec(
            model=model,
            config=msgspec.to_builtins(convert(config, cls)),
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
        return spec.recipe.last_step if spec.recipe else 0

    def block_size(self, spec: ModelSpec) -> int | None:
        """Positions that the model knows, or None where any position will do."""
        size: int | None = spec.config.get("block_size")
        return size


COMPONENTS: tuple[tuple[str, Mapping[str, Any]], ...] = (("lstm", {}), ("ngram", {}))
"""Those of a blend where none are given."""


_ALONE = Choices()  # those of a component are those of the model on its own


class BlendChoices(Choices):
    """The option `parts` holds the components, each a model and its own options."""

    def choose(self, model: str, options: Mapping[str, Any], required: Iterable[str]) -> ModelSpec:
        """Each component takes what it can of the options that are not its own."""
        components = options.get("parts", COMPONENTS)
        if len(components) < 2:
            raise OptionError(
                f"a blend has 2 components or more; --part was given {len(components)} times"
            )
        for name in required:
            if name != "parts" and not any(name in options_of(each) for each, _ in components):
                models = ", ".join(each for each, _ in components)
                raise OptionError(
                    f"{flag(name)} applies to no component of the blend ({models}); "
                    "--model names another"
                )
        specs = [_ALONE.choose(each, {**options, **own}, own) for each, own in components]
        config = convert({"parts": msgspec.to_builtins(specs)}, BlendConfig)
        return ModelSpec(model=model, config=msgspec.to_builtins(config))

    def options(self, spec: ModelSpec) -> dict[str, Any]:
        return {"parts": [(each.model, _ALONE.options(each)) for each in _components(spec)]}

    def based_on(self, base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """In each component that takes them, those given are instead of its own."""
        components = [
            (model, {**own, **{name: given[name] for name in options_of(model) if name in given}})
            for model, own in base["parts"]
        ]
        return {**base, "parts": components, **given}

    def max_steps(self, spec: ModelSpec) -> int:
        return sum(map(_ALONE.max_steps, _components(spec)))

    def block_size(self, spec: ModelSpec) -> int | None:
        sizes = map(_ALONE.block_size, _components(spec))
        return min((size for size in sizes if size is not None), default=None)


def _components(spec: ModelSpec) -> tuple[ModelSpec, ...]:
    return msgspec.convert(spec.config, BlendConfig).parts


_BLEND = BlendChoices()


def choices_of(model: str) -> Choices:
    """How the options of a model of the table are chosen."""
    return _BLEND if issubclass(CONFIGS[model], BlendConfig) else _ALONE


def options_of(model: str) -> tuple[str, ...]:
    """Names of the options of a model: the fields of its config, then those of its `Recipe`."""
    cls = CONFIGS[model]
    return (*cls.__struct_fields__, *(Recipe.__struct_fields__ if cls.recipe else ()))


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
