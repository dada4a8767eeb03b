"""What a call asks for, made ready: much of it is the same from one call to the next."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any, NamedTuple

from makemore import _core
from makemore.engine import Engine
from makemore.options import FilterOptions
from makemore.patterns import TokenAutomaton, compile_filter

_MAX_PLANS, _MAX_BYTES = 64, 32 << 20
"""Plans that are kept, and bytes of their automata: the last one whatever it takes."""

_key = itemgetter(*(each.name for each in fields(FilterOptions) if each.name != "not_in"))


class Compiled(NamedTuple):
    """An automaton over tokens, and the same for the core."""

    automaton: TokenAutomaton
    row_filter: _core.RowFilter


@dataclass(frozen=True)
class Plan:
    """What the options of a call mean for a model.

    prompt: ids that every string begins with. compiled: None where every string passes. draw: how
    a token is drawn, and request: all that is asked for but which rows, for the core.
    """

    prompt: list[int]
    max_length: int
    compiled: Compiled | None
    draw: dict[str, Any]
    request: _core.Request

    @property
    def bytes(self) -> int:
        """Of its automaton, which the core has once more."""
        return 0 if self.compiled is None else 2 * self.compiled.automaton.transitions.nbytes


class PlanCache:
    """The plans of the options that were used lately."""

    def __init__(self) -> None:
        self._plans: dict[tuple[object, ...], Plan] = {}

    def get(self, engine: Engine, options: FilterOptions) -> Plan:
        """The plan for a model; `OptionError` for options that it cannot have, or where no string
        can pass.
        """
        key = _key(vars(options))
        try:
            plan = self._plans.get(key)
        except TypeError:  # a function that cannot be hashed, say
            return _plan(engine, options)
        if plan is None:
            plan = _plan(engine, options)
            kept = [*self._plans.values()]
            bytes_in_all = sum(each.bytes for each in (*kept, plan))
            if len(kept) >= _MAX_PLANS or bytes_in_all > _MAX_BYTES:
                self._plans = {}
            self._plans[key] = plan
        return plan


def _plan(engine: Engine, options: FilterOptions) -> Plan:
    max_length = engine.max_length_of(options)
    prompt = engine.prompt_of(options.prefix, options)
    compiled = _compile(engine, options, prompt, max_length)
    draw = engine.draw(options)
    row_filter = None if compiled is None else compiled.row_filter
    request = engine.request(prompt=prompt, max_length=max_length, row_filter=row_filter, **draw)
    return Plan(prompt, max_length, compiled, draw, request)


def _compile(
    engine: Engine, options: FilterOptions, prompt: list[int], max_length: int
) -> Compiled | None:
    vocabulary = engine.vocabulary
    automaton = compile_filter(
        vocabulary,
        matching=options.matching,
        wildcard=options.wildcard,
        suffix=options.suffix,
        min_length=options.min_length,
        max_length=max_length - engine.label_tokens,
        excluded=vocabulary.mask(options.exclude),
        prefix=prompt[engine.label_tokens :],
    )
    if automaton is None:
        return None
    row_filter = _core.RowFilter(automaton.transitions, automaton.accepting, len(vocabulary))
    return Compiled(automaton, row_filter)
