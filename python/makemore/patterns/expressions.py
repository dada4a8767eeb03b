"""Regular expressions, compiled by outlines-core, a wrapper of Rust's regex-automata."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from makemore.errors import OptionError
from makemore.limits import shown
from makemore.patterns.automaton import DEAD, TokenAutomaton, TooManyStatesError, state_limit
from makemore.patterns.expression_size import require_bounded

_NOT_REGULAR = re.compile(r"\(\?<?[=!]|\\[1-9]|\\k[<{']|\(\?P=")
_BOUNDARY = re.compile(r"(?<!\\)(?:\\\\)*(\\[bBAzZG]|[$^])")


def compile_expression(
    expression: str, texts: list[str | None], first: list[str | None]
) -> TokenAutomaton:
    """The automaton of a regular expression that the whole string matches, over tokens that stand
    for `texts` (V,), None for none; `first`: those of the tokens at the beginning of a string.

    `OptionError` for an expression that is none, or not a regular one, or where outlines-core is
    not installed. `TooManyStatesError`.
    """
    core = _outlines_core()
    require_bounded(expression)
    ids: dict[str, list[int]] = {}
    forms: list[tuple[str, int]] = []
    for offset, of_tokens in ((0, texts), (len(texts), first)):
        forms += [(text, offset + i) for i, text in enumerate(of_tokens) if text]
    for text, number in forms:
        ids.setdefault(text, []).append(number + 1)
    # With every byte a token no state is without one, which outlines-core would not take.
    spare = 2 * len(texts) + 1
    vocabulary = core.Vocabulary(0, ids)
    for byte in range(256):
        vocabulary.insert(bytes([byte]), spare + byte)
    try:
        index = core.Index(expression, vocabulary)
    except ValueError as error:
        reason = _reason(expression, error)
        raise OptionError(f"matching is {shown(expression)}; {reason}") from None
    return _to_tokens(index, len(texts))


def _to_tokens(index: Any, tokens: int) -> TokenAutomaton:
    """The states that tokens reach; bytes alone are no tokens. The start is a state of its own."""
    transitions: dict[int, dict[int, int]] = index.get_transitions()
    final: set[int] = index.get_final_states()
    start = index.get_initial_state()
    numbers: dict[int | None, int] = {None: 0}
    states: list[int | None] = [None]
    table = []
    for state in states:  # which grows
        offset = 1 + tokens if state is None else 1
        row = np.full(tokens, DEAD, dtype=np.int32)
        for number, after in transitions.get(start if state is None else state, {}).items():
            token = number - offset
            if not 1 <= token < tokens:
                continue
            place = numbers.setdefault(after, len(states))
            if place == len(states):
                states.append(after)
                if len(states) > state_limit(tokens):
                    raise TooManyStatesError(tokens)
            row[token] = place
        table.append(row)
    accepting = [(start if state is None else state) in final for state in states]
    return TokenAutomaton(np.stack(table), np.array(accepting))


def _reason(expression: str, error: ValueError) -> str:
    if _NOT_REGULAR.search(expression):
        return "look-around and back-references are not regular, and cannot be used"
    if _BOUNDARY.search(expression):
        return (
            "word boundaries and anchors cannot be used; the whole string is matched, from its "
            "beginning to its end"
        )
    return f"it is not a regular expression: {error}"


def _outlines_core() -> Any:
    try:
        import outlines_core  # noqa: PLC0415
    except ImportError:
        raise OptionError(
            'matching needs the package outlines-core: pip install "makemore[patterns]"; '
            "wildcard needs none"
        ) from None
    return outlines_core
