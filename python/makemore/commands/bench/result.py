"""What a bench finds: the JSON of `mm-bench --json`, units in the names."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Positive = Annotated[float, msgspec.Meta(gt=0)]
"""A time, a rate or a size; checked where a record is read."""


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Of single calls."""

    p50: Positive
    p90: Positive
    p99: Positive

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Percentiles:
        p50, p90, p99 = np.percentile(values, (50, 90, 99)).tolist()
        return cls(p50=p50, p90=p90, p99=p99)


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Of repeats."""

    median: Positive
    min: Positive
    max: Positive

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        values = [float(value) for value in values]
        return cls(median=statistics.median(values), min=min(values), max=max(values))


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of `sample(1)`, one after another: microseconds of each, and of each by its tokens.

    Of what the model says, a sampler remembers some from call to call; where `cold`, each call is
    the first of its sampler.
    """

    calls: int
    name_us: Percentiles
    token_us: Percentiles
    cold_name_us: Percentiles


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of `sample(n, batch_size=batch_size)` on so many threads."""

    batch_size: int
    threads: int
    n: int
    names_per_second: Spread
    tokens_per_second: Spread


class Memory(msgspec.Struct, frozen=True):
    """Most MiB resident until then in a fresh process, where makemore is imported."""

    before_load: Spread
    after_load: Spread
    after_sampling: Spread


class Startup(msgspec.Struct, frozen=True, kw_only=True):
    """Fresh processes, their files in the system's cache.

    first_load_ms: `makemore.load`, which opens ONNX Runtime. later_load_ms: the same once more in
    that process. first_name_ms: from the start of Python to the first string. peak_mib: None where
    the system does not tell; sampling is of n strings at the largest batch size and thread count.
    """

    first_load_ms: Spread
    later_load_ms: Spread
    first_name_ms: Spread
    peak_mib: Memory | None


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """A figure, how many times as good as before: as fast, or with a memory as small.

    min, max: the least and the most that the spreads of both allow; None for single calls, of which
    quantiles are compared.
    """

    figure: str
    median: float
    min: float | None
    max: float | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """With a former record, the file `old`. differs: what figures depend on and is not the same,
    before and now. ratios: of each figure that both have.
    """

    old: str
    differs: dict[str, tuple[Any, Any]]
    ratios: list[Ratio]


class Bench(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All figures, and what they depend on. compared: None unless it was asked for."""

    artifact: str
    model: str
    parameters: int
    device: str
    environment: dict[str, Any]
    repeats: int
    latency: Latency
    throughput: Annotated[list[Throughput], msgspec.Meta(min_length=1)]
    startup: Startup
    compared: Comparison | None = None
