"""What the benchmarks have alike: their tables, and what their figures depend on."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Mapping, Sequence

from makemore import Sampler
from makemore.commands.doctor import describe_environment
from rich import box
from rich.console import Console
from rich.table import Table


def show(rows: Sequence[Mapping[str, float | str]]) -> None:
    """The figures as a Markdown table on stdout."""
    table = Table(*rows[0], box=box.MARKDOWN)
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    Console(width=200).print(table)


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    digits = 0 if isinstance(value, int) or value >= 100 else 1 if value >= 10 else 3
    return f"{value:,.{digits}f}"


def strings_per_second(sampler: Sampler, strings: int, rounds: int) -> float:
    """Of calls for many: the median of the rounds, after one of warm-up."""
    rates = []
    for seed in range(rounds + 1):
        began = time.perf_counter()
        sampler.sample(strings, seed=seed, min_length=0)
        rates.append(strings / (time.perf_counter() - began))
    return statistics.median(rates[1:])


def environment() -> dict[str, object]:
    """What the figures depend on."""
    found = describe_environment()
    kept = {name: found[name] for name in ("makemore", "machine", "cores", "onnxruntime", "torch")}
    return {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), **kept}
