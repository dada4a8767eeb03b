"""What each method of the sampler takes, and how its signature and help are made of that."""

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from makemore._core import CancellationToken
from makemore.limits import CANCELLATION, COUNT, FIRST_ROW, SEED, Limit, checked
from makemore.options import DrawOptions, FilterOptions, SampleOptions, document

P = ParamSpec("P")
T = TypeVar("T")
Call = TypeVar("Call")
Result = TypeVar("Result")

_CANCEL = {"limit": CANCELLATION}


@checked
@dataclass(frozen=True)
class SampleCall(SampleOptions):
    """What `Sampler.sample` takes: how many strings, the options, and what may end the call."""

    n: int = field(metadata={"limit": COUNT})
    cancellation: CancellationToken | None = field(default=None, kw_only=True, metadata=_CANCEL)


@checked
@dataclass(frozen=True)
class StreamCall(SampleOptions):
    """What `Sampler.stream` takes: how many strings, or None for no end, and the options."""

    n: int | None = field(default=None, metadata={"limit": COUNT})


@checked
@dataclass(frozen=True)
class RowsCall(FilterOptions):
    """What `Sampler.sample_rows` takes: which rows, the options, and what may end the call."""

    first_row: int = field(metadata={"limit": FIRST_ROW})
    rows: int = field(metadata={"limit": COUNT})
    seed: int = field(kw_only=True, metadata={"limit": SEED})
    cancellation: CancellationToken | None = field(default=None, kw_only=True, metadata=_CANCEL)


@checked
@dataclass(frozen=True)
class MostLikelyCall(FilterOptions):
    """What `Sampler.most_likely` takes: how many strings, the options, what may end the call."""

    k: int = field(metadata={"limit": COUNT})
    cancellation: CancellationToken | None = field(default=None, kw_only=True, metadata=_CANCEL)


@checked
@dataclass(frozen=True)
class NextTokensCall(DrawOptions):
    """What `Sampler.next_tokens` takes: a prefix, and how a token is drawn after it."""

    prefix: str = field(default="", metadata={"limit": Limit(str, "a string")})


@checked
@dataclass(frozen=True)
class CompleteCall(DrawOptions):
    """What `Sampler.complete` takes: prefixes, how many strings of each, and the options."""

    prefixes: Collection[str] = field(
        metadata={
            "limit": Limit(
                Collection, "a collection of strings", lambda value: not isinstance(value, str)
            )
        }
    )
    n: int = field(default=1, metadata={"limit": COUNT})
    seed: int | None = field(default=None, kw_only=True, metadata={"limit": SEED})
    first_row: int = field(default=0, kw_only=True, metadata={"limit": FIRST_ROW})
    cancellation: CancellationToken | None = field(default=None, kw_only=True, metadata=_CANCEL)


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
        document(with_arguments, call)
        return with_arguments

    return decorate
