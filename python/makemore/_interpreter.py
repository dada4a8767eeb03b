"""Refuses to be imported in a subinterpreter, where importing the C++ core would hang."""

from __future__ import annotations

import importlib


def require_main_interpreter() -> None:
    """Raises `ImportError` in a subinterpreter."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # from 3.13 on, and before
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        if interpreters.get_current() != interpreters.get_main():
            raise ImportError("makemore runs in the main interpreter only, not in a subinterpreter")
        return


require_main_interpreter()
