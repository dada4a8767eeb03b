"""The options of sampling, each with its default, its limit and its meaning in one place.

Checks, the flags of the commands, and the signature and help of `Sampler.sample` follow from here.
"""

import functools
import inspect
import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Concatenate, ParamSpec, TypeVar

from makemore._core import CancellationToken
from makemore.errors import OptionError, OptionTypeError

BATCH_SIZE = 256
"""Rows decoded together, unless the caller says otherwise."""

CUDA_BATCH_SIZE = 16_384
"""The same on a GPU; fewer where its memory does not hold them."""

P = ParamSpec("P")
T = TypeVar("T")
Call = TypeVar("Call")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Limit:
    """The values that an option takes: their type, and what holds for them."""

    type: type[Any]
    words: str
    holds: Callable[[Any], bool] = lambda _: True

    def parse(self, name: str, value: object) -> Any:
        """The value as a plain number, text or token; an `OptionError` says what it may be.

        A type that does not fit is an `OptionTypeError`.
        """
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


def shown(value: object) -> str:
    """A value in a message: with all digits that make it wrong, but not longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _plain_float(value: Any) -> float:
    if isinstance(value, str | bytes | bytearray):
        raise TypeError
    return float(value)


def _plain_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _token(value: object) -> CancellationToken:
    if not isinstance(value, CancellationToken):
        raise TypeError
    return value


_PARSERS: dict[type, Callable[[Any], Any]] = {
    int: lambda value: int(operator.index(value)),
    float: _plain_float,
    str: _plain_str,
    CancellationToken: _token,
}


def _option(default: Any, limit: Limit, about: str, *, none: str = "") -> Any:
    """A field: its default, its limit and its meaning; `none`: what None stands for."""
    return field(default=default, metadata={"limit": limit, "about": about, "none": none})


def _checked(options: type[T]) -> type[T]:
    """Gives a frozen dataclass an `__init__` that checks what it is given and sets all fields at
    once; setting them one by one, as its own does, takes longer than the rest of a short call.
    """
    signature = inspect.signature(options)
    positional = [name for name, each in signature.parameters.items() if each.kind.value == 1]
    required = {name for name, each in signature.parameters.items() if each.default is each.empty}
    every = fields(options)  # type: ignore[arg-type]
    defaults = {each.name: each.default for each in every if each.default is not MISSING}
    limits = {each.name: _limit_of(each) for each in every}

    def init(self: T, *args: Any, **given: Any) -> None:
        if args and len(args) <= len(positional) and given.keys().isdisjoint(positional):
            given.update(zip(positional, args, strict=False))
        elif args:
            signature.bind(*args, **given)  # raises TypeError
        if not required <= given.keys() <= limits.keys():
            signature.bind(**given)  # raises TypeError
        values = vars(self)
        values.update(defaults)
        for name, value in given.items():
            limit = limits[name]
            if value is not defaults.get(name, MISSING):
                fits = type(value) is limit.type and limit.holds(value)
                values[name] = value if fits else limit.parse(name, value)

    init.__signature__ = inspect.signature(options.__init__)  # type: ignore[attr-defined]
    options.__init__ = init  # type: ignore[assignment,method-assign]
    return options


def _limit_of(option: Field[Any]) -> Limit:
    limit: Limit = option.metadata["limit"]
    if option.default is None:
        return Limit(limit.type, f"{limit.words}, or None", limit.holds)
    return limit


@_checked
@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Options of `Sampler.sample`. With none given, strings follow the model exactly.

    The filters work in this order: exclude, temperature, top_k, top_p, min_p. Options that are used
    again and again can be kept: `options = SampleOptions(temperature=0.8)`, and then
    `sampler.sample(3, **options)`. Raises `OptionError` for a value that cannot be.
    """

    temperature: float = _option(
        1.0,
        Limit(float, "a finite number >= 0", lambda value: 0 <= value < math.inf),
        "Lower is safer; 0 takes the likeliest token each time.",
    )
    top_k: int = _option(
        0, integer(0, note=" (0 keeps all)"), "Keep the k likeliest tokens; 0 keeps all."
    )
    top_p: float = _option(
        1.0,
        Limit(float, "a number > 0 and <= 1", lambda value: 0 < value <= 1),
        "Keep the smallest set of tokens whose mass is at least p.",
    )
    min_p: float = _option(
        0.0,
        Limit(float, "a number >= 0 and <= 1", lambda value: 0 <= value <= 1),
        "Keep tokens at least p times as likely as the likeliest.",
    )
    prefix: str = _option(
        "", Limit(str, "a string"), "What every string begins with: characters, or whole words."
    )
    exclude: str = _option("", Limit(str, "a string"), "Characters, or words, that are never made.")
    max_length: int | None = _option(
        None, integer(1), "Most characters, or words, of a string.", none="the artifact's"
    )
    seed: int | None = _option(
        None, integer(0, 2**64), "Same seed, same strings.", none="fresh entropy"
    )
    first_row: int = _option(
        0, integer(0, 2**64), "Number of the first string; seed and number name a string for good."
    )
    batch_size: int | None = _option(
        None,
        integer(1),
        "Rows decoded together, which changes the speed only.",
        none=f"{BATCH_SIZE:,}; on CUDA {CUDA_BATCH_SIZE:,}",
    )

    def keys(self) -> Iterable[str]:
        """Names of the options; with `[]` they make `sample(n, **options)` work."""
        return [each.name for each in fields(SampleOptions)]

    def __getitem__(self, name: str) -> Any:
        """The value of an option."""
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)


@_checked
@dataclass(frozen=True)
class SampleCall(SampleOptions):
    """What `Sampler.sample` takes: how many strings, the options, and what may end the call."""

    n: int = field(metadata={"limit": integer(0)})
    cancellation: CancellationToken | None = field(
        default=None,
        kw_only=True,
        metadata={"limit": Limit(CancellationToken, "a CancellationToken")},
    )


def describe_options() -> str:
    """The options with their defaults and meanings, a paragraph for `help`."""
    lines = ["Options:"]
    for each in fields(SampleOptions):
        default = repr(each.default)
        if each.metadata["none"]:
            default = f"None: {each.metadata['none']}"
        lines.append(f"  {each.name}: {each.metadata['about']} [{default}]")
    return "\n".join(lines)


def _document(thing: Any) -> None:
    thing.__doc__ = f"{inspect.cleandoc(thing.__doc__ or '')}\n\n{describe_options()}"


def takes(
    call: Callable[P, Call],
) -> Callable[[Callable[[T, Call], Result]], Callable[Concatenate[T, P], Result]]:
    """Makes a method of one `call` a method with the arguments of that call, in help too."""

    def decorate(method: Callable[[T, Call], Result]) -> Callable[Concatenate[T, P], Result]:
        @functools.wraps(method)
        def with_arguments(self: T, /, *args: P.args, **kwargs: P.kwargs) -> Result:
            return method(self, call(*args, **kwargs))

        own, _ = inspect.signature(method).parameters.values()
        arguments = inspect.signature(call).parameters.values()
        with_arguments.__signature__ = inspect.signature(method).replace(  # type: ignore[attr-defined]
            parameters=[own, *arguments]
        )
        _document(with_arguments)
        return with_arguments

    return decorate


_document(SampleOptions)
