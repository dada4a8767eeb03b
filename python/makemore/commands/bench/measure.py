"""Measures an artifact: how soon it makes a name, how many a second, and in how much memory.

Every figure is of `Sampler.sample`: steps made, tokens chosen, Python strings built.
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from copy import copy
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from makemore.commands.bench.process import Start
from makemore.commands.bench.result import (
    Bench,
    Latency,
    Memory,
    Percentiles,
    Spread,
    Startup,
    Throughput,
)
from makemore.commands.doctor import describe_environment
from makemore.errors import OptionError, OrtError
from makemore.loading import Device, load
from makemore.sampler import Sampler

SEED = 1
"""Of every name that is timed: names differ by row, and no row is timed twice on one setting."""

LATENCY_SHARE = 0.2
"""Of the seconds of a bench; throughput takes the others."""

LARGEST_WARM_UP = 65_536
"""Most names of a call that warms up, unless calls of more are asked for."""

LARGEST_FIND = 16_384
"""Names of a call after which common prefixes may have been found."""

FRESH = """
import sys
sys.path[:] = sys.argv[7:]  # a makemore.py in the current folder is another program
from makemore.commands.bench.process import main
main(*sys.argv[1:7])
"""

Say = Callable[[str], None]


def measure(
    path: str | os.PathLike[str],
    *,
    device: Device = "cpu",
    trust: bool = False,
    batch_sizes: Sequence[int],
    threads: Sequence[int],
    n: int | None = None,
    repeats: int = 5,
    seconds: float = 10.0,
    say: Say = lambda _: None,
) -> Bench:
    """Measures an artifact, which is opened as `makemore.load` opens it.

    n: names of a call where throughput is measured; None: as many as `seconds` allow. seconds: what
    latency and throughput take together, about; on top come warm-up (for as long at most until
    common prefixes are found), counting tokens and fresh processes. `say` is called with what comes
    next.

    Raises what `makemore.load` raises, and `OptionError` for a number outside its range.
    """
    _require_positive("batch_size", batch_sizes)
    _require_positive("threads", threads)
    _require_positive("repeats", [repeats])
    _require_positive("n", [] if n is None else [n])
    if not 0 < seconds < math.inf:
        raise OptionError(f"seconds is {seconds:g}; it must be a finite number > 0")
    single, *samplers = (
        load(path, device=device, threads=count, trust=trust) for count in (1, *threads)
    )
    samplers = [*{sampler.threads: sampler for sampler in samplers}.values()]  # a GPU has one only
    say("latency: one name a call")
    latency = measure_latency(single, seconds * LATENCY_SHARE)
    seconds *= 1 - LATENCY_SHARE
    say("throughput: common prefixes are found")
    for sampler in samplers:
        find_common_prefixes(sampler, seconds / len(samplers))
    rows = measure_throughput(samplers, batch_sizes, n=n, repeats=repeats, seconds=seconds, say=say)
    say(f"startup: {repeats + 1} fresh processes")
    largest = {"threads": max(threads), "n": rows[0].n, "batch_size": max(batch_sizes)}
    return Bench(
        artifact=os.fspath(path),
        model=single.artifact.model.type,
        parameters=single.artifact.model.parameters,
        device=single.device,
        environment=_environment(),
        repeats=repeats,
        latency=latency,
        throughput=rows,
        startup=measure_startup(path, single.device, trust=trust, repeats=repeats, **largest),
    )


def measure_latency(sampler: Sampler, seconds: float) -> Latency:
    """Calls `sample(1)` for half of `seconds`, after a tenth of that to warm up, and for the other
    half on samplers that remember nothing yet. Each call makes another name.
    """
    first_row = len(_calls(lambda: sampler, 0, seconds / 20))
    took = _calls(lambda: sampler, first_row, seconds / 2)
    tokens = _count_tokens(sampler, len(took), first_row)
    return Latency(
        calls=len(took),
        name_us=Percentiles.of(1e6 * took),
        token_us=Percentiles.of(1e6 * took / tokens),
        cold_name_us=Percentiles.of(1e6 * _calls(lambda: copy(sampler), first_row, seconds / 2)),
    )


def find_common_prefixes(sampler: Sampler, seconds: float) -> None:
    """Makes names until a sampler has found all of its model's common prefixes, or so many seconds
    have passed: its thread for them would take a core from what is measured.
    """
    common = sampler.common_prefixes
    end = perf_counter() + seconds
    while common is not None and not common.has_all and perf_counter() < end:
        _seconds(sampler, sampler.batch_size, LARGEST_FIND, 0)


def measure_throughput(
    samplers: Sequence[Sampler],
    batch_sizes: Sequence[int],
    *,
    n: int | None,
    repeats: int,
    seconds: float,
    say: Say = lambda _: None,
) -> list[Throughput]:
    """Names a second of each sampler, one a thread count, at each batch size.

    In every round all settings take their turn and make the same names, so that a machine that
    grows slower does so for all. n None: a power of two that lets the rounds take `seconds`, but
    enough to fill the largest batch.
    """
    settings = [(sampler, batch_size) for sampler in samplers for batch_size in batch_sizes]
    warm_up = n or min(max(batch_sizes), LARGEST_WARM_UP)
    say(f"throughput: {len(settings)} settings, warm-up of {warm_up:,} names each")
    round_seconds = sum(_seconds(*setting, warm_up, 0) for setting in settings)
    if n is None:
        fit = warm_up * seconds / (repeats * round_seconds)
        n = max(warm_up, 2 ** int(math.log2(max(fit, 1))))
    took = np.empty((repeats, len(settings)))
    tokens = np.empty((repeats, 1))
    for i in range(repeats):
        say(f"throughput: round {i + 1} of {repeats}, {n:,} names each")
        first_row = warm_up + i * n
        took[i] = [_seconds(*setting, n, first_row) for setting in settings]
        tokens[i] = _count_tokens(samplers[-1], n, first_row).sum()
    return [
        Throughput(
            batch_size=batch_size,
            threads=sampler.threads,
            n=n,
            names_per_second=Spread.of((n / took)[:, j]),
            tokens_per_second=Spread.of((tokens / took)[:, j]),
        )
        for j, (sampler, batch_size) in enumerate(settings)
    ]


def measure_startup(
    path: str | os.PathLike[str],
    device: str,
    *,
    trust: bool = False,
    threads: int,
    n: int,
    batch_size: int,
    repeats: int,
) -> Startup:
    """Starts `repeats` processes, after one that brings the files into the system's cache.

    Raises `OrtError` where a process fails.
    """
    arguments = [os.fspath(path), device, str(threads), str(n), str(batch_size)]
    arguments.append("trust" if trust else "")
    first_names, starts = zip(*[_start(arguments) for _ in range(repeats + 1)][1:], strict=True)
    peaks = np.array([start.peaks_mib for start in starts])  # (repeats, 3), or (repeats, 0)
    return Startup(
        first_load_ms=Spread.of(start.first_load_ms for start in starts),
        later_load_ms=Spread.of(start.later_load_ms for start in starts),
        first_name_ms=Spread.of(first_names),
        peak_mib=Memory(*map(Spread.of, peaks.T)) if peaks.size else None,
    )


def _start(arguments: Sequence[str]) -> tuple[float, Start]:
    """Milliseconds until a fresh process had its first name, and what it says itself."""
    command = [sys.executable, "-c", FRESH, *arguments, *sys.path]
    began = perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  our own code
    if done.returncode != 0:
        error = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise OrtError(f"a fresh process ended with {done.returncode}: {error}")
    start = msgspec.json.decode(done.stdout, type=Start)
    return 1e3 * (start.first_name - began), start


def _calls(sampler: Callable[[], Sampler], first_row: int, seconds: float) -> NDArray[np.float64]:
    """Seconds of each call of `sample(1)` that began within `seconds`; at least one."""
    took: list[float] = []
    end = perf_counter() + seconds
    while not took or perf_counter() < end:
        one, row = sampler(), first_row + len(took)
        began = perf_counter()
        one.sample(1, seed=SEED, first_row=row, min_length=0)
        took.append(perf_counter() - began)
    return np.array(took)


def _seconds(sampler: Sampler, batch_size: int, n: int, first_row: int) -> float:
    began = perf_counter()
    names = sampler.sample(n, seed=SEED, first_row=first_row, batch_size=batch_size, min_length=0)
    took = perf_counter() - began
    del names  # when they are freed is up to who asked for them, and not timed
    return took


def _count_tokens(sampler: Sampler, n: int, first_row: int) -> NDArray[np.int64]:
    """Tokens chosen for each of n names, (n,): a stop is one, a name that is cut has none."""
    made = sampler.sample_ids(n, seed=SEED, first_row=first_row, min_length=0)
    return np.array([len(name.ids) + (name.finish_reason == "stop") for name in made])


def _environment() -> dict[str, Any]:
    """What the figures depend on, beside the artifact."""
    found = describe_environment()
    kept = ("makemore", "onnxruntime", "torch", "machine", "cpu features", "cores")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **{name: found.get(name) for name in kept},
    }


def _require_positive(name: str, values: Sequence[int]) -> None:
    for value in values:
        if value < 1:
            raise OptionError(f"{name} is {value}; it must be >= 1")
