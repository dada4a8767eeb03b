"""The options of sampling, each with its default, its limit and its meaning in one place.

Checks, the flags of the commands, and the signature and help of the sampler's methods follow from
here.
"""

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Set
from dataclasses import Field, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore.limits import FIRST_ROW, SEED, Limit, checked, integer, option

BATCH_SIZE = 256
"""Rows decoded together, unless the caller says otherwise."""

CUDA_BATCH_SIZE = 16_384
"""The same on a GPU; fewer where its memory does not hold them."""

MAX_ROWS = 2**25
"""Rows that are tried before a search for strings that pass is given up, by default."""

MAX_EMPTY_ROWS = 2**16
"""The same where nothing is asked for but that a string is not empty: of a model that makes hardly
anything else.
"""

Adjust = Callable[[NDArray[np.int64], NDArray[np.float32]], ArrayLike]
"""(ids so far (length,), logits (V,)) -> logits (V,)."""


@checked
@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """How a token is drawn. With none given, strings follow the model exactly.

    What changes the distribution works in this order: adjust, penalty, exclude, temperature, top_k,
    top_p, min_p.
    """

    temperature: float = option(
        1.0,
        Limit(float, "a finite number >= 0", lambda value: 0 <= value < math.inf),
        "Lower is safer; 0 takes the likeliest token each time.",
    )
    top_k: int = option(
        0, integer(0, note=" (0 keeps all)"), "Keep the k likeliest tokens; 0 keeps all."
    )
    top_p: float = option(
        1.0,
        Limit(float, "a number > 0 and <= 1", lambda value: 0 < value <= 1),
        "Keep the smallest set of tokens whose mass is at least p.",
    )
    min_p: float = option(
        0.0,
        Limit(float, "a number >= 0 and <= 1", lambda value: 0 <= value <= 1),
        "Keep tokens at least p times as likely as the likeliest.",
    )
    penalty: float = option(
        1.0,
        Limit(float, "a finite number >= 1", lambda value: 1 <= value < math.inf),
        "Makes tokens less likely that the string holds already; meant for words.",
    )
    adjust: Adjust | None = option(  # noqa: RUF009
        None,
        Limit(Callable, "a callable"),
        "Logits (V,) from the ids so far and the model's logits; deterministic, called in Python "
        "once a prefix, which is slow.",
        none="the model's own",
        flag=False,
    )
    label: str | None = option(
        None,
        Limit(str, "a string"),
        "The label of every string, of a model that was trained with labels.",
        none="drawn as the model does",
    )
    exclude: str = option("", Limit(str, "a string"), "Characters, or words, that are never made.")
    max_length: int | None = option(
        None, integer(1), "Most characters, or words, of a string.", none="the artifact's"
    )
    batch_size: int | None = option(
        None,
        integer(1),
        "Rows decoded together, which changes the speed only.",
        none=f"{BATCH_SIZE:,}; on CUDA {CUDA_BATCH_SIZE:,}",
    )

    def keys(self) -> Iterable[str]:
        """Names of the options; with `[]` they make `sample(n, **options)` work."""
        return [each.name for each in fields(self) if "about" in each.metadata]

    def __getitem__(self, name: str) -> Any:
        """The value of an option."""
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)


@checked
@dataclass(frozen=True, kw_only=True)
class FilterOptions(DrawOptions):
    """Which strings pass. A filter drops whole strings and changes no distribution: what passes is
    distributed as the model's strings are, given that they pass.
    """

    prefix: str = option(
        "", Limit(str, "a string"), "What every string begins with: characters, or whole words."
    )
    matching: str | None = option(
        None,
        Limit(str, "a string"),
        "A regular expression that the whole string matches (needs makemore[patterns]).",
        none="any string",
    )
    wildcard: str | None = option(
        None,
        Limit(str, "a string"),
        "A pattern that the whole string matches: * is any text, ? one character.",
        none="any string",
    )
    suffix: str = option("", Limit(str, "a string"), "What every string ends with.")
    min_length: int = option(
        1, integer(0), "Fewest characters, or words, of a string; 0 lets the empty string pass."
    )
    not_in: Collection[str] | None = option(
        None,
        Limit(Set, "a collection of strings"),
        "Strings that do not pass: a set is fastest.",
        none="none",
        flag=False,
    )
    novel: bool = option(
        False,
        Limit(bool, "True or False"),
        "Only strings that are no line of the training text.",
    )


@checked
@dataclass(frozen=True, kw_only=True)
class SearchOptions(FilterOptions):
    """Which of the strings that pass are found: those that `Sampler.prepare` makes ready."""

    unique: bool = option(False, Limit(bool, "True or False"), "Each string once.")
    max_rows: int | None = option(
        None,
        integer(1),
        "Most rows that are tried before the search is given up.",
        none=f"{MAX_ROWS:,}, or 100 for each string if more; {MAX_EMPTY_ROWS:,} where only the "
        "empty string does not pass",
    )

    @property
    def asks(self) -> bool:
        """Whether more is asked for than that a string is not empty."""
        patterns = self.matching is not None or self.wildcard is not None or bool(self.suffix)
        return (
            patterns or self.min_length > 1 or self.not_in is not None or self.novel or self.unique
        )


@checked
@dataclass(frozen=True, kw_only=True)
class SampleOptions(SearchOptions):
    """Options of `Sampler.sample`. With none given, strings follow the model exactly, but for the
    empty string, which is left out.

    Options that are used again and again can be kept: `options = SampleOptions(temperature=0.8)`,
    and then `sampler.sample(3, **options)`. Raises `OptionError` for a value that cannot be.
    """

    seed: int | None = option(None, SEED, "Same seed, same strings.", none="fresh entropy")
    first_row: int = option(
        0, FIRST_ROW, "Number of the first row; seed and number name a string for good."
    )


def options_of(call: Any) -> list[Field[Any]]:
    """The fields of a class that are options with a meaning, in order."""
    return [each for each in fields(call) if "about" in each.metadata]


def describe_options(call: Any) -> str:
    """The options with their defaults and meanings, a paragraph for `help`."""
    lines = ["Options:"]
    for each in options_of(call):
        default = repr(each.default)
        if each.metadata["none"]:
            default = f"None: {each.metadata['none']}"
        lines.append(f"  {each.name}: {each.metadata['about']} [{default}]")
    return "\n".join(lines)


def document(thing: Any, call: Any) -> None:
    thing.__doc__ = f"{inspect.cleandoc(thing.__doc__ or '')}\n\n{describe_options(call)}"


document(SampleOptions, SampleOptions)
