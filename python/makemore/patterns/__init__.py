"""What strings are asked for, as one automaton over the tokens of an artifact.

It needs nothing of a model but its vocabulary. `compile_filter` is the entrance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from makemore.errors import OptionError
from makemore.limits import shown
from makemore.patterns.automaton import NEVER, TokenAutomaton, TooManyStatesError, at_least
from makemore.patterns.expressions import compile_expression
from makemore.patterns.wildcards import ANY_TEXT, compile_items, parse
from makemore.vocabulary import Vocabulary

__all__ = ["TokenAutomaton", "compile_filter"]


def compile_filter(
    vocabulary: Vocabulary,
    *,
    matching: str | None = None,
    wildcard: str | None = None,
    suffix: str = "",
    min_length: int = 0,
    max_length: int,
    excluded: Sequence[int] = (),
) -> TokenAutomaton | None:
    """The automaton of the strings that pass all that is asked for; None where all strings do.

    matching: a regular expression, wildcard: a pattern with * and ?, that the whole string matches.
    min_length, max_length: in tokens. excluded: tokens that are never made.

    `OptionError` for a pattern that is none, that needs more states than the limit, or that no
    string of at most max_length tokens matches.
    """
    texts = _without(vocabulary.texts(), excluded)
    first = _without(vocabulary.first_texts(), excluded)
    parts: list[tuple[str, Callable[[], TokenAutomaton]]] = []
    if matching is not None:
        named = f"matching is {shown(matching)}"
        parts.append((named, lambda: compile_expression(matching, texts, first)))
    if wildcard is not None:
        items = parse(wildcard)
        parts.append((f"wildcard is {shown(wildcard)}", lambda: compile_items(items, texts, first)))
    if suffix:
        ends = [ANY_TEXT, *suffix]
        parts.append((f"suffix is {shown(suffix)}", lambda: compile_items(ends, texts, first)))
    if min_length:
        named = f"min_length is {min_length}"
        parts.append((named, lambda: at_least(min_length, len(vocabulary), max_length)))
    whole: TokenAutomaton | None = None
    all_named = ""
    for named, compiled in parts:
        all_named += f" and {named}" if all_named else named
        whole = _intersection(whole, named, compiled, all_named)
        _require_possible(whole, all_named, vocabulary, max_length)
    return whole


def _without(texts: list[str | None], excluded: Sequence[int]) -> list[str | None]:
    left = list(texts)
    for token in excluded:
        left[token] = None
    return left


def _intersection(
    whole: TokenAutomaton | None, named: str, compiled: Callable[[], TokenAutomaton], all_named: str
) -> TokenAutomaton:
    try:
        automaton = compiled().trimmed()
    except TooManyStatesError as error:
        raise OptionError(f"{named}; {error}") from None
    if whole is None:
        return automaton
    try:
        return (whole & automaton).trimmed()
    except TooManyStatesError as error:
        raise OptionError(f"{all_named}; together: {error}") from None


def _require_possible(
    automaton: TokenAutomaton, named: str, vocabulary: Vocabulary, max_length: int
) -> None:
    shortest = int(automaton.shortest[0])
    if shortest <= max_length:
        return
    if shortest < NEVER:
        raise OptionError(
            f"{named}; the shortest string that matches has {shortest} {vocabulary.level}s; "
            f"max_length is {max_length}"
        )
    known = set().union(*filter(None, vocabulary.texts()))
    unknown = "".join(sorted({c for c in named.partition(" is ")[2] if c.isalnum()} - known))
    reason = f"; it knows none of the characters {unknown!r}" if unknown else ""
    raise OptionError(f"{named}; no string of this model can match{reason}")
