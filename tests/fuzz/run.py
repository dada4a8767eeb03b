"""Runs mutants of the artifacts: `python tests/fuzz/run.py --mutants 100000`.

Prints how they ended, and each finding with the numbers of some mutants that show it; exits with 1
if there is any. `--only SEED --keep FOLDER` writes one mutant and runs it alone.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import runner
from corpus import corpus

_SHOWN = 8  # mutants of a finding


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=2000, help="How many.")
    parser.add_argument("--first", type=int, default=0, help="Number of the first.")
    parser.add_argument("--seconds", type=float, help="Start no more mutants after that time.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="At a time.")
    parser.add_argument("--only", type=int, help="Number of one mutant to run.")
    parser.add_argument("--keep", type=Path, help="Folder for that mutant's model.onnx.")
    options = parser.parse_args()
    if options.only is not None:
        return _one(options.only, options.keep)
    began = time.monotonic()
    seeds = iter(range(options.first, options.first + options.mutants))
    if options.seconds is not None:
        seeds = itertools.takewhile(lambda _: time.monotonic() - began < options.seconds, seeds)
    return _many(seeds, options.jobs, began)


def _one(seed: int, keep: Path | None) -> int:
    made = runner.mutant(seed)
    print(f"mutant {seed}: {made.artifact}, {made.mutations}, {len(made.data):,} bytes")
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / "model.onnx").write_bytes(made.data)
    (outcome,) = runner.run([seed], jobs=1)
    print(f"{outcome.finding or outcome.kind}; {outcome.seconds:.2f} s, {outcome.resident >> 20} MiB")
    print(outcome.stderr, end="", file=sys.stderr)
    return 1 if outcome.finding else 0


def _many(seeds: Iterator[int], jobs: int, began: float) -> int:
    kinds: Counter[str] = Counter()
    findings: dict[str, list[runner.Outcome]] = defaultdict(list)
    slowest, largest, count = 0.0, 0, 0
    for outcome in runner.run(seeds, jobs=jobs):
        count += 1
        if outcome.finding:
            if outcome.finding not in findings:
                print(f"mutant {outcome.seed}: {outcome.finding}", flush=True)
            findings[outcome.finding].append(outcome)
            continue
        kinds[outcome.kind] += 1
        slowest, largest = max(slowest, outcome.seconds), max(largest, outcome.resident)
        if count % 5000 == 0:
            print(f"{count:,} mutants, {time.monotonic() - began:.0f} s", flush=True)
    elapsed = time.monotonic() - began
    print(f"{count:,} mutants of {len(corpus())} artifacts in {elapsed:.0f} s")
    for kind, times in kinds.most_common():
        print(f"{times:8,}  {kind}")
    print(f"of these the slowest took {slowest:.2f} s, the largest {largest >> 20} MiB")
    for finding, outcomes in sorted(findings.items(), key=lambda item: -len(item[1])):
        numbers = ", ".join(str(outcome.seed) for outcome in outcomes[:_SHOWN])
        print(f"{len(outcomes):8,}  FINDING {finding}: mutants {numbers}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
