"""From what is asked of a string to one automaton, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from makemore.errors import OptionError
from makemore.limits import shown
from makemore.patterns.automaton import UNREACHABLE, TokenAutomaton
from makemore.patterns.classes import members, require_outlines_core
from makemore.patterns.expression import ANY, Expression
from makemore.patterns.positions import CharacterAutomaton, Positions, determinize
from makemore.patterns.regex import parse_regex
from makemore.patterns.tokens import TokenTexts
from makemore.patterns.wildcard import parse_suffix, parse_wildcard
from makemore.vocabulary import Vocabulary


def compile_filter(
    vocabulary: Vocabulary,
    *,
    matching: str | None = None,
    wildcard: str | None = None,
    suffix: str = "",
    min_length: int = 0,
    max_length: int,
    excluded: Sequence[int] = (),
    prefix: Sequence[int] = (),
) -> TokenAutomaton | None:
    """The automaton of the strings that are all that is asked for; None where nothing is.

    matching: a regular expression for the whole string; see `parse_regex`.
    wildcard: `*` stands for any characters, `?` for any one; see `parse_wildcard`.
    suffix: what a string ends in.
    min_length: fewest tokens.
    max_length: most tokens, a label not counted. The automaton does not count them: its reader ends
      there.
    excluded: ids that are never drawn; the prefix may hold them.
    prefix: ids that every string begins with, after its label; no filter by itself.

    `OptionError` names the option, its value and the reason, where a pattern cannot be read or
    grows too large, or where no string of at most `max_length` tokens is all that is asked for.
    """
    parsers: list[tuple[str, str | None, Callable[[str], Expression]]] = [
        ("matching", matching, _parse_matching),
        ("wildcard", wildcard, parse_wildcard),
        ("suffix", suffix or None, parse_suffix),
    ]
    asked: list[str] = []
    whole: TokenAutomaton | None = None
    texts: TokenTexts | None = None
    for name, pattern, parse in parsers:
        if pattern is None:
            continue
        texts = texts or TokenTexts(vocabulary)
        asked.append(f"{name} is {shown(pattern)}")
        with _refused(asked[-1:]):
            automaton = _automaton(parse(pattern), texts).below(vocabulary.first_label)
            _require_string(automaton, vocabulary, max_length)
        with _refused(asked):
            whole = whole.intersection(automaton) if whole else automaton
            _require_string(whole, vocabulary, max_length)
    if min_length > 0:
        asked.append(f"min_length is {min_length}")
        with _refused(asked):
            chain = TokenAutomaton.at_least(min_length, len(vocabulary)).below(
                vocabulary.first_label
            )
            whole = whole.intersection(chain) if whole else chain
            _require_string(whole, vocabulary, max_length)
    if whole is None:
        return None
    if prefix:
        asked.append(f"prefix is {shown(_text(vocabulary, prefix))}")
        with _refused(asked):
            whole = whole.beginning_with(prefix)
            _require_string(whole, vocabulary, max_length)
    never = vocabulary.mask()
    if excluded := sorted({*excluded, *never}):
        if named := [i for i in excluded if i not in never]:
            texts_of = dict.fromkeys(repr(_text(vocabulary, [i])) for i in named)
            asked.append(f"exclude takes away {_listed(list(texts_of))}")
        with _refused(asked):
            whole = whole.without(excluded, after=len(prefix))
            _require_string(whole, vocabulary, max_length)
    if vocabulary.labels:  # a label is no part of the text, nor of its length
        transitions = whole.transitions.copy()
        transitions[:, vocabulary.first_label :] = np.arange(len(transitions))[:, None]
        whole = TokenAutomaton(transitions, whole.accepting)
    return whole


def compile_characters(pattern: str, characters: str) -> CharacterAutomaton:
    """The automaton of a regular expression over some characters, for whole texts.

    `OptionError` where it cannot be read or grows too large.
    """
    positions = Positions.of(_parse_matching(pattern))
    return determinize(positions, _held(positions.reads, characters))


def _parse_matching(pattern: str) -> Expression:
    require_outlines_core()
    return parse_regex(pattern)


@contextmanager
def _refused(asked: Sequence[str]) -> Iterator[None]:
    """Puts what was asked for before the reason why it is refused."""
    try:
        yield
    except OptionError as error:
        raise OptionError(f"{' and '.join(asked)}; {error}") from None


def _require_string(automaton: TokenAutomaton, vocabulary: Vocabulary, max_length: int) -> None:
    shortest = int(automaton.shortest[0])
    level = vocabulary.level
    if shortest == UNREACHABLE:
        raise OptionError(f"no string of this model's {level}s fits")
    if shortest > max_length:
        raise OptionError(
            f"the shortest string that fits has {shortest:,} {level}s, and max_length is "
            f"{max_length:,}"
        )


def _automaton(expression: Expression, texts: TokenTexts) -> TokenAutomaton:
    """The automaton of one pattern; where no string matches, the reason as `OptionError`."""
    positions = Positions.of(expression)
    characters = texts.characters()
    held = _held(positions.reads, characters)
    automaton = texts.automaton(determinize(positions, held), characters)
    lacking = [_as_written(name) for name, holds in held.items() if not holds.any()]
    if lacking and automaton.shortest[0] == UNREACHABLE:
        raise OptionError(
            f"it needs {_listed(lacking)}, which this model does not know; its "
            f"{len(characters):,} characters are {shown(characters)}"
        )
    return automaton


def _held(names: Sequence[str], characters: str) -> dict[str, NDArray[np.bool_]]:
    """Which characters (C,) each name of `Character.reads` stands for."""
    distinct = list(dict.fromkeys(names))
    classes = [name for name in distinct if len(name) > 1]
    held = dict(zip(classes, members(classes, characters), strict=True)) if classes else {}
    each = np.array([ord(c) for c in characters], dtype=np.int64)
    for name in distinct:
        if len(name) == 1:
            held[name] = each == ord(name)
        elif name == ANY:
            held[name] = np.ones(len(characters), dtype=np.bool_)
    return held


def _as_written(name: str) -> str:
    name = name.removeprefix("(?i:").removesuffix(")") if name.startswith("(?i:") else name
    return repr(name) if len(name) == 1 else f"one of {name}"


def _listed(lacking: Sequence[str]) -> str:
    some = list(lacking[:8])
    if len(lacking) > len(some):
        some.append(f"{len(lacking) - len(some)} more")
    return " and ".join([", ".join(some[:-1]), some[-1]] if len(some) > 1 else some)


def _text(vocabulary: Vocabulary, ids: Sequence[int]) -> str:
    return vocabulary.decode(np.array(ids, dtype=np.int64), np.array([0, len(ids)]))[0]
