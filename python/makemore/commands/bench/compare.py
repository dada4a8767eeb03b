"""How many times as fast as before: two records of `mm-bench --json`, figure by figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from makemore.commands.bench.result import (
    Bench,
    Comparison,
    Latency,
    Ratio,
    Spread,
    Startup,
    Throughput,
)
from makemore.errors import OptionError


def read_record(path: Path) -> Bench:
    """A record that `mm-bench --json` wrote; `OptionError` for a file that is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Bench)
    except OSError as error:
        raise OptionError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise OptionError(
            f"{path}: not a record of mm-bench: {error}; 'mm-bench ARTIFACT --json' writes one"
        ) from None


def compare(new: Bench, old: Bench, path: Path) -> Comparison:
    """The ratios of `new` over `old`, which was read from `path`, and what else differs."""
    ratios = [
        *_of_latency(new.latency, old.latency),
        *_of_throughput(new.throughput, old.throughput),
        *_of_startup(new.startup, old.startup),
    ]
    return Comparison(old=str(path), differs=_differences(new, old), ratios=ratios)


def _of_latency(new: Latency, old: Latency) -> Iterator[Ratio]:
    pairs = {
        "a name": (new.name_us, old.name_us),
        "a token": (new.token_us, old.token_us),
        "a sampler's first name": (new.cold_name_us, old.cold_name_us),
    }
    for name, (now, before) in pairs.items():
        for quantile in ("p50", "p99"):
            ratio = getattr(before, quantile) / getattr(now, quantile)
            yield Ratio(figure=f"{name}, {quantile}", median=ratio, min=None, max=None)


def _of_throughput(new: list[Throughput], old: list[Throughput]) -> Iterator[Ratio]:
    """Of the settings that both have; tokens a second do not depend on how long names are."""
    before = {(row.batch_size, row.threads): row for row in old}
    for row in new:
        setting = row.batch_size, row.threads
        if setting in before:
            name = f"batch size {row.batch_size:,}, threads {row.threads:,}"
            rates = row.names_per_second, before[setting].names_per_second
            yield _ratio(f"names/s, {name}", *rates)
            rates = row.tokens_per_second, before[setting].tokens_per_second
            yield _ratio(f"tokens/s, {name}", *rates)


def _of_startup(new: Startup, old: Startup) -> Iterator[Ratio]:
    yield _ratio("first load", old.first_load_ms, new.first_load_ms)
    yield _ratio("later load", old.later_load_ms, new.later_load_ms)
    yield _ratio("first name", old.first_name_ms, new.first_name_ms)
    if old.peak_mib and new.peak_mib:
        yield _ratio("memory", old.peak_mib.after_sampling, new.peak_mib.after_sampling)


def _ratio(figure: str, over: Spread, under: Spread) -> Ratio:
    """The medians', between the least and the most that the spreads allow."""
    return Ratio(
        figure=figure,
        median=over.median / under.median,
        min=over.min / under.max,
        max=over.max / under.min,
    )


def _differences(new: Bench, old: Bench) -> dict[str, tuple[Any, Any]]:
    """What the figures depend on and is not the same: before, now."""
    before, now = _conditions(old), _conditions(new)
    names = [*now, *(name for name in before if name not in now)]
    return {
        name: (before.get(name), now.get(name))
        for name in names
        if before.get(name) != now.get(name)
    }


def _conditions(bench: Bench) -> dict[str, Any]:
    return {
        "model": bench.model,
        "weights": bench.parameters,
        "device": bench.device,
        "names a call": bench.throughput[0].n,
        **{name: value for name, value in bench.environment.items() if name != "date"},
    }
