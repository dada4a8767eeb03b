"""What a call costs: `python benchmarks/calls.py ARTIFACT [--against PYTHON]`.

Processor time of `sample(1, seed=...)` in microseconds: with 64 seeds again and again, whose
strings the cache knows to their ends, so that little is left but the call itself; the same of a
prepared request, or of the sampler where an older version has none; the same, the cache emptied
before each call; and with a seed for each call. With `--against`, the interpreter
of another environment, such as one of another commit, takes turns, and the ratio is the median of
those of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CALLS = 5_000
KNOWN = 64
"""Seeds that come again."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--against", help="A Python with another makemore.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--once", action="store_true", help="One round, as JSON.")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(measure(options.artifact)))
        return
    pythons = [sys.executable, *([options.against] if options.against else [])]
    rounds = [[once(python, options.artifact) for python in pythons] for _ in range(options.rounds)]
    for kind in rounds[0][0]:
        figures = [[found[kind] for found in each] for each in rounds]
        medians = [statistics.median(column) for column in zip(*figures, strict=True)]
        line = f"{kind}: {medians[0]:.2f} us"
        if options.against:
            ratio = statistics.median(other / ours for ours, other in figures)
            line += f", {medians[1]:.2f} us there, {ratio:.2f} times as long"
        print(line)


def once(python: str, artifact: Path) -> dict[str, float]:
    """The figures of a process of that interpreter."""
    command = [python, __file__, "--once", artifact]
    return json.loads(subprocess.check_output(command, text=True))


def measure(artifact: Path) -> dict[str, float]:
    """Microseconds of a call of each kind."""
    import makemore  # noqa: PLC0415 of the interpreter that measures

    sampler = makemore.load(artifact, threads=1)

    prepared = sampler.prepare() if hasattr(sampler, "prepare") else sampler

    def microseconds(asked: Any, seeds: Sequence[int], *, cold: bool = False) -> float:
        began = time.process_time()
        for seed in seeds:
            if cold:
                sampler.clear_cache()
            asked.sample(1, seed=seed)
        return 1e6 * (time.process_time() - began) / len(seeds)

    again = [seed % KNOWN for seed in range(CALLS)]
    microseconds(sampler, again)
    return {
        "a known name": microseconds(sampler, again),
        "the same, of a prepared request": microseconds(prepared, again),
        "the same, the cache emptied before it": microseconds(sampler, again, cold=True),
        "a new name": microseconds(sampler, range(KNOWN, KNOWN + CALLS)),
    }


if __name__ == "__main__":
    main()
