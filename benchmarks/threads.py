"""How many times as fast several threads are: `python benchmarks/threads.py ARTIFACT...`.

Names a second of one thread, of one for each core, and of as many processes of one thread each.
They take turns, each in a process of its own; all have found the model's common prefixes before,
and none frees its names while it is timed. Medians over the rounds of the ratios within a round,
each of several calls, one after the other.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path

import makemore
from figures import environment, show
from makemore.commands.bench.measure import find_common_prefixes
from makemore.runtime.cores import usable_cores

FIND_SECONDS = 120.0
"""For the common prefixes of a model, at most."""


class Maker:
    """A process that makes names when it is asked to."""

    def __init__(self, artifact: Path, threads: int, n: int) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=serve, args=(theirs, artifact, threads, n))
        self.process.start()
        theirs.close()  # so that `recv` raises EOFError where the process has failed
        self.connection.recv()  # it is ready

    def close(self) -> None:
        self.connection.send(0)
        self.process.join()


def serve(connection: Connection, artifact: Path, threads: int, n: int) -> None:
    """Answers each number of calls with the seconds that they took, until that is 0."""
    sampler = makemore.load(artifact, threads=threads)
    find_common_prefixes(sampler, FIND_SECONDS)
    first_row = 0
    connection.send(None)
    while calls := connection.recv():
        seconds = 0.0
        for _ in range(calls):
            began = time.perf_counter()
            names = sampler.sample(n, seed=1, first_row=first_row)
            seconds += time.perf_counter() - began
            first_row += n
            del names  # when they are freed is up to who asked for them
        connection.send(seconds)


def rate(makers: list[Maker], calls: int, n: int) -> float:
    """Names a second of processes that work at the same time."""
    for maker in makers:
        maker.connection.send(calls)
    return sum(calls * n / maker.connection.recv() for maker in makers)


def measure(
    artifact: Path, threads: int, n: int, calls: int, rounds: int
) -> dict[str, list[float]]:
    """Names a second, a figure a round."""
    one, several = Maker(artifact, 1, n), Maker(artifact, threads, n)
    processes = [one, *(Maker(artifact, 1, n) for _ in range(threads - 1))]
    turns = {"one thread": [one], "threads": [several], "processes": processes}
    found = {name: [rate(makers, calls, n)] for name, makers in turns.items()}  # warm-up
    for _ in range(rounds):
        for name, makers in turns.items():
            found[name].append(rate(makers, calls, n))
    for maker in (several, *processes):
        maker.close()
    return {name: rates[1:] for name, rates in found.items()}


def ratio(found: dict[str, list[float]], name: str) -> float:
    return statistics.median(
        several / one for several, one in zip(found[name], found["one thread"], strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifacts", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--n", type=int, default=100_000, help="Names a call.")
    parser.add_argument("--calls", type=int, default=5, help="Of a round.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, help="A JSON file.")
    options = parser.parse_args()
    how = (options.threads, options.n, options.calls, options.rounds)
    found = {artifact.name: measure(artifact, *how) for artifact in options.artifacts}
    show(
        [
            {
                "model": name,
                "one thread, names/s": statistics.median(rates["one thread"]),
                f"{options.threads} threads": f"{ratio(rates, 'threads'):.2f}",
                f"{options.threads} processes": f"{ratio(rates, 'processes'):.2f}",
            }
            for name, rates in found.items()
        ]
    )
    if options.output is not None:
        facts = {"n": options.n, "calls": options.calls, "threads": options.threads}
        facts |= {"environment": environment(), "names_per_second": found}
        options.output.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
