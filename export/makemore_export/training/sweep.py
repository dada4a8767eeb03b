"""Runs that differ in one option, to see what it does to the losses of train and dev."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from makemore.errors import OptionError, TrainingError

from makemore_export.configs import CONFIGS
from makemore_export.training.choices import flag, options_of

_COUNT = 9  # values of a range, where it does not say how many
_MOST = 100
_RANGE = re.compile(r"(.+)\.\.([^:]+)(?::(\d+))?")
_VALUE = re.compile(r"[\w.+-]+")  # it is in the name of a folder


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """An option of the models or of their training, and the values to try, as they are typed."""

    option: str
    values: tuple[str, ...]


class SweepRun(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one value: the losses of its best weights, in nats per token, None if infinite.

    `test` is never among them. Both are None where training diverged; steps and seconds are then
    those of its last checkpoint. `value` names the options, too, where there are several.
    """

    value: str
    train: float | None
    dev: float | None
    steps: int
    seconds: float
    folder: str


def parse_sweep(text: str) -> Sweep:
    """`smoothing=0.1,1`, or `smoothing=0.001..10`: 9 values of a range, each a factor further.

    `0.001..10:5` takes 5 of them; between whole numbers they are whole. `OptionError` for an option
    that no model has, and for values that are none.
    """
    name, _, values = text.partition("=")
    option = name.strip().removeprefix("--").replace("-", "_")
    known = sorted({each for model in CONFIGS for each in options_of(model)} - {"parts"})
    if option not in known:
        raise OptionError(f"--sweep {text!r}: {name!r} is not one of {', '.join(known)}")
    match = _RANGE.fullmatch(values.strip())
    found = _range(text, *match.groups()) if match else [v.strip() for v in values.split(",")]
    for value in found:
        if not _VALUE.fullmatch(value):
            raise OptionError(
                f"--sweep {text!r}: {value!r} is no value; "
                f"{name}=1,2,5 and {name}=0.001..10 are examples"
            )
    distinct = tuple(dict.fromkeys(found))
    if not 2 <= len(distinct) <= _MOST:
        raise OptionError(f"--sweep {text!r}: {len(distinct)} values; 2 to {_MOST} can be compared")
    return Sweep(option=option, values=distinct)


def parse_sweeps(texts: Sequence[str], options: Mapping[str, Any]) -> list[Sweep]:
    """Of several options, none of which has a value among `options`, or else `OptionError`."""
    sweeps = [parse_sweep(text) for text in texts]
    for text, sweep in zip(texts, sweeps, strict=True):
        if options.get(sweep.option) is not None:
            raise OptionError(f"--sweep {text!r}: {sweep.option} is given a value of its own, too")
    if len({sweep.option for sweep in sweeps}) < len(sweeps):
        raise OptionError("--sweep is given twice for one option; name its values once")
    return sweeps


def _range(text: str, low: str, high: str, count: str | None) -> list[str]:
    number = int(count or _COUNT)
    try:
        first, last = float(low), float(high)
    except ValueError:
        first = last = math.nan
    if not (0 < first < last < math.inf) or not 2 <= number <= _MOST:
        raise OptionError(
            f"--sweep {text!r}: a range is LOW..HIGH or LOW..HIGH:COUNT, with 0 < LOW < HIGH and "
            f"COUNT from 2 to {_MOST}"
        )
    factor = (last / first) ** (1 / (number - 1))
    points = [first * factor**i for i in range(number)]
    if low.isdecimal() and high.isdecimal():
        return [str(round(point)) for point in points]
    return [f"{point:.3g}" for point in points]


def best_of(runs: Sequence[SweepRun]) -> SweepRun:
    """The one with the lowest dev loss, the first of equals; `TrainingError` if all diverged."""
    if all(run.train is None and run.dev is None for run in runs):
        values = dict.fromkeys(run.value for run in runs)
        raise TrainingError(f"training diverged at every value: {', '.join(values)}")
    return min(runs, key=lambda run: math.inf if run.dev is None else run.dev)


def table(sweep: Sweep, runs: Sequence[SweepRun]) -> str:
    """A line a run, the lowest dev loss marked."""
    best = best_of(runs)
    head = flag(sweep.option).removeprefix("--")
    width = max(len(head), *(len(run.value) for run in runs))
    lines = [f"{head:>{width}}   train     dev    steps  seconds"]
    for run in runs:
        mark = "  lowest dev" if run is best else ""
        lines.append(
            f"{run.value:>{width}}  {_loss(run.train)}  {_loss(run.dev)}  {run.steps:7,}"
            f"  {run.seconds:7.1f}{mark}"
        )
    return "\n".join(lines)


_SHOWN = 10  # runs of a search


def search_table(runs: Sequence[SweepRun]) -> str:
    """A line for each of the runs with the lowest dev losses, the lowest first."""
    distinct = {run.value: run for run in runs}.values()
    best = sorted(distinct, key=lambda run: math.inf if run.dev is None else run.dev)[:_SHOWN]
    lines = [f"{len(runs)} trials\n train     dev    steps  seconds"]
    lines += [
        f"{_loss(run.train)}  {_loss(run.dev)}  {run.steps:7,}  {run.seconds:7.1f}  {run.value}"
        for run in best
    ]
    return "\n".join(lines)


def _loss(loss: float | None) -> str:
    return " inf  " if loss is None else f"{loss:6.4f}"
