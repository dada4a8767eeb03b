"""What an option takes: its type, its range, and the error that names both."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Collection, Set
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

from makemore._core import CancellationToken
from makemore.errors import OptionError, OptionTypeError

T = TypeVar("T")


@dataclass(frozen=True)
class Limit:
    """The values that an option takes: their type, and what holds for them."""

    type: Any
    words: str
    holds: Callable[[Any], bool] = lambda _: True

    def parse(self, name: str, value: object) -> Any:
        """The value as a plain number, text or token; an `OptionError` says what it may be.

        A type that does not fit is an `OptionTypeError`.
        """
        if type(value) is self.type and self.holds(value):
            return value
        try:
            plain = _PARSERS[self.type](value)
        except (TypeError, ValueError, OverflowError):
            raise OptionTypeError(f"{name} is {shown(value)}; it must be {self.words}") from None
        if not self.holds(plain):
            digits = shown(plain).removesuffix(".0")
            raise OptionError(f"{name} is {digits}; it must be {self.words}")
        return plain


def integer(least: int, below: int = 2**63, note: str = "") -> Limit:
    """An integer from `least` to below a power of 2."""
    words = f"an integer >= {least} and < 2**{below.bit_length() - 1}{note}"
    return Limit(int, words, lambda value: least <= value < below)


COUNT = integer(0)
SEED = FIRST_ROW = integer(0, 2**64)
CANCELLATION = Limit(CancellationToken, "a CancellationToken")


def shown(value: object) -> str:
    """A value in a message: with all digits that make it wrong, but not longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        text = hex(value) if isinstance(value, int) else f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}..."


def _plain_float(value: Any) -> float:
    if isinstance(value, str | bytes | bytearray):
        raise TypeError
    return float(value)


def _plain_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)  # NumPy has a kind of its own


def _plain_bool(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError
    return bool(value)


def _set_of_strings(value: object) -> Set[str]:
    """A set as it is. Of others `in` need not mean the same: a Series of pandas asks its index."""
    if isinstance(value, Set):
        return value
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Collection):
        raise TypeError
    strings = frozenset(value)
    if not all(isinstance(each, str) for each in strings):
        raise TypeError
    return strings


def _instance(of: Any) -> Callable[[Any], Any]:
    def parse(value: object) -> Any:
        if not isinstance(value, of):
            raise TypeError
        return value

    return parse


_PARSERS: dict[Any, Callable[[Any], Any]] = {
    bool: _plain_bool,
    int: lambda value: int(operator.index(value)),
    float: _plain_float,
    str: _plain_str,
    CancellationToken: _instance(CancellationToken),
    Callable: _instance(Callable),
    Collection: _instance(Collection),
    Set: _set_of_strings,
}


def option(default: Any, limit: Limit, about: str, *, none: str = "", flag: bool = True) -> Any:
    """A field: its default, its limit and its meaning; `none`: what None stands for; `flag`:
    whether the commands have a flag of it.
    """
    metadata = {"limit": limit, "about": about, "none": none, "flag": flag}
    return field(default=default, metadata=metadata)


def checked(options: type[T]) -> type[T]:
    """Gives a frozen dataclass an `__init__` that checks what it is given and sets all fields at
    once; setting them one by one, as its own does, takes longer than the rest of a short call.
    """
    signature = inspect.signature(options)
    positional = [name for name, each in signature.parameters.items() if each.kind.value == 1]
    required = {name for name, each in signature.parameters.items() if each.default is each.empty}
    first = next(iter(positional), "")
    first_is_enough = bool(positional) and required <= {first}
    every = fields(options)  # type: ignore[arg-type]
    defaults = {each.name: each.default for each in every if each.default is not MISSING}
    limits = {each.name: _limit_of(each) for each in every}
    # What is looked at for each value that is given.
    checks = {
        each.name: (each.default, limits[each.name].type, limits[each.name].holds) for each in every
    }

    def init(self: T, *args: Any, **given: Any) -> None:
        if len(args) == 1 and first_is_enough and first not in given:
            given[first] = args[0]  # as most calls are
        else:
            all_given = dict(zip(positional, args, strict=False)) | given
            if len(all_given) < len(args) + len(given) or not required <= all_given.keys():
                signature.bind(*args, **given)  # raises TypeError
            given = all_given
        values = self.__dict__
        values.update(defaults)
        for name, value in given.items():
            if name not in checks:
                signature.bind(**given)  # raises TypeError
            default, kind, holds = checks[name]
            if value is not default:
                fits = type(value) is kind and holds(value)
                values[name] = value if fits else limits[name].parse(name, value)

    init.__signature__ = inspect.signature(options.__init__)  # type: ignore[attr-defined]
    options.__init__ = init  # type: ignore[assignment,method-assign]
    return options


def _limit_of(option: Field[Any]) -> Limit:
    limit: Limit = option.metadata["limit"]
    if option.default is None:
        return Limit(limit.type, f"{limit.words}, or None", limit.holds)
    return limit
