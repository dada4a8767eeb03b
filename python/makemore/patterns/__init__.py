"""What a string must be like, as an automaton over a model's tokens.

`compile_filter` is the entrance; `compile_characters` stops at the automaton over characters. A
pattern is parsed (`regex`, `wildcard`) to an expression, whose
characters become positions and whose sets of positions become states (`positions`); tokens of any
length move these (`tokens`), and what is asked for together is intersected (`automaton`).
"""

from makemore.patterns.automaton import UNREACHABLE, TokenAutomaton
from makemore.patterns.compile import compile_characters, compile_filter

__all__ = ["UNREACHABLE", "TokenAutomaton", "compile_characters", "compile_filter"]
