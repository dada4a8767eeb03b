"""Tries the cases and mutants of the artifacts: `python tests/fuzz/run.py --mutants 100000`.

Prints how they ended, and each finding with some of the inputs that show it; exits with 1 if there
is any. `--only SEED --keep FOLDER` writes one mutant and tries it alone, `--file` a file.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import mutate
import runner
from cases import CASES
from corpus import corpus
from runner import Input, Outcome

_SHOWN = 8  # inputs of a finding


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=2000, help="How many.")
    parser.add_argument("--first", type=int, default=0, help="Number of the first.")
    parser.add_argument("--seconds", type=float, help="Start no more mutants after that time.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="At a time.")
    parser.add_argument("--only", type=int, help="Number of one mutant to try.")
    parser.add_argument("--keep", type=Path, help="Folder for that mutant's model.onnx.")
    parser.add_argument("--file", type=Path, help="A model.onnx to try.")
    options = parser.parse_args()
    if options.file:
        return _one(options.file.read_bytes())
    if options.only is not None:
        return _one(_mutant(options.only, options.keep))
    began = time.monotonic()
    seeds: Iterable[int] = range(options.first, options.first + options.mutants)
    if options.seconds is not None:
        seeds = itertools.takewhile(lambda _: time.monotonic() - began < options.seconds, seeds)
    return _many(itertools.chain(cases(), runner.mutants(seeds)), options.jobs)


def cases() -> Iterable[Input]:
    """The cases, and the artifacts themselves, which all run."""
    for name, data in corpus():
        yield Input(f"artifact {name}", lambda data=data: data, inspect=True)
    for name, build in CASES.items():
        yield Input(f"case {name}", lambda build=build: build().SerializeToString(), inspect=True)


def _mutant(seed: int, keep: Path | None) -> bytes:
    artifacts = corpus()
    name, data = artifacts[seed % len(artifacts)]
    made, mutations = mutate.described(data, seed)
    print(f"mutant {seed} of {name}: {mutations}; {len(made):,} bytes")
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / "model.onnx").write_bytes(made)
    return made


def _one(data: bytes) -> int:
    (outcome,) = runner.run([Input("it", lambda: data, inspect=True)], jobs=1)
    shown = outcome.finding or outcome.kind
    print(f"{shown}; {outcome.seconds:.2f} s, {outcome.resident >> 20} MiB")
    print(outcome.stderr, end="", file=sys.stderr)
    return 1 if outcome.finding else 0


def _many(inputs: Iterable[Input], jobs: int) -> int:
    began = time.monotonic()
    kinds: Counter[str] = Counter()
    findings: dict[str, list[Outcome]] = defaultdict(list)
    slowest, largest = 0.0, 0
    for count, outcome in enumerate(runner.run(inputs, jobs=jobs), start=1):
        if outcome.finding:
            if outcome.finding not in findings:
                print(f"{outcome.name}: {outcome.finding}", flush=True)
            findings[outcome.finding].append(outcome)
        else:
            kinds[outcome.kind] += 1
            slowest = max(slowest, outcome.seconds)
            largest = max(largest, outcome.resident)
        if count % 5000 == 0:
            print(f"{count:,} inputs, {time.monotonic() - began:.0f} s", flush=True)
    passed, found = sum(kinds.values()), sum(map(len, findings.values()))
    print(f"{passed + found:,} inputs, {len(corpus())} artifacts, {time.monotonic() - began:.0f} s")
    for kind, times in kinds.most_common():
        print(f"{times:8,}  {kind}")
    print(f"of these the slowest took {slowest:.2f} s, the largest {largest >> 20} MiB")
    for finding, outcomes in sorted(findings.items(), key=lambda item: -len(item[1])):
        names = ", ".join(outcome.name for outcome in outcomes[:_SHOWN])
        print(f"{len(outcomes):8,}  FINDING {finding}: {names}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
