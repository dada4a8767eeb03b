"""How far a command is, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

_PROGRESS_FROM = 65_536


@contextmanager
def progress(what: str, n: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, and what moves it on; none for a few strings, nor without a terminal."""
    console = Console(stderr=True)
    if n <= _PROGRESS_FROM or not console.is_terminal:
        yield lambda _: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=n)
        yield lambda count: bar.advance(task, count)
