"""How long it takes to find strings that are asked for: `python benchmarks/search.py ARTIFACT`.

One core. Each figure is the median of `--rounds`, every round with a seed of its own, so that
nothing is read from the cache of an earlier one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import makemore

PATTERNS = ("m[aeiou]r[a-z]{2,4}", ".*son", "[a-m]+(lyn|ette)", ".{7}", "b.{3}n.{2}e")
STRINGS = 1000
ROWS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sampler = makemore.load(options.artifact, threads=1)

    def median(run: Callable[[int], object]) -> float:
        seconds = []
        for seed in range(options.rounds + 1):  # the first warms up
            began = time.perf_counter()
            run(seed)
            seconds.append(time.perf_counter() - began)
        return statistics.median(seconds[1:])

    for pattern in PATTERNS:
        found = sampler.sample_ids(STRINGS, seed=0, matching=pattern)
        taken = median(lambda seed, p=pattern: sampler.sample(STRINGS, seed=seed, matching=p))
        rows = found[-1].row + 1
        print(f"{pattern}: {STRINGS:,} in {taken:.2f} s, of {rows:,} rows")
    dying = {"wildcard": "qx*", "max_length": 3}
    taken = median(lambda seed: sampler.sample_rows(0, 1 << 22, seed=seed, **dying))
    print(f"rows that die at once: {(1 << 22) / taken / 1e6:.1f} million a second")
    plain = median(lambda seed: sampler.sample(ROWS, seed=seed))
    novel = median(lambda seed: sampler.sample(ROWS, seed=seed, unique=True, novel=True))
    print(f"{ROWS:,} names: {plain:.2f} s, distinct and new: {novel:.2f} s, {novel / plain:.2f}x")
    print(f"most_likely(1000): {median(lambda _: sampler.most_likely(1000)):.2f} s")
    one = median(lambda seed: [sampler.sample(1, seed=seed * 1000 + i) for i in range(1000)])
    first = median(
        lambda seed: [next(sampler.stream(seed=10**6 + seed * 1000 + i)) for i in range(1000)]
    )
    print(f"sample(1): {one * 1e3:.0f} us, the first of a stream: {first * 1e3:.0f} us")


if __name__ == "__main__":
    main()
