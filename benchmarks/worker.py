"""The process of one peer, so that no library meets another's threads, and the handle on it.

It answers requests on stdin, a line of JSON each, on one core and one thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peer
from peer import PEERS, NotComparableError, Peer, Source

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class Worker:
    """The process of a peer."""

    def __init__(self, name: str, artifact: Path) -> None:
        """Raises `NotComparableError` where its library is missing or refuses the model."""
        self.process = subprocess.Popen(
            [sys.executable, __file__, PEERS[name], artifact],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ONE_THREAD,
        )
        self.largest_batch = self._answer()
        if isinstance(self.largest_batch, str):
            raise NotComparableError(self.largest_batch)

    def ask(self, verb: str, *arguments: object) -> Any:
        """The answer of one of `VERBS`."""
        assert self.process.stdin is not None
        print(json.dumps([verb, *arguments]), file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise NotComparableError(f"its process ended with exit code {self.process.wait()}")
        return json.loads(line)


def main() -> None:
    """Says the peer's largest batch when it is loaded, or why it is not; then answers until stdin
    ends.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the same core for all

    def say(answer: object) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    module, artifact = sys.argv[1:]
    try:
        loaded = peer.load(module, Source(Path(artifact)))
    except (ImportError, NotComparableError) as reason:
        say(str(reason))
        return
    say(loaded.largest_batch)
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        say(VERBS[verb](loaded, *arguments))


def log_probs(tried: Peer, strings: list[str]) -> list[float] | None:
    """Log-probability of each string, its stop included; None where the peer has no logits."""
    logits = tried.logits(peer.encode(strings, tried.letters))
    return None if logits is None else peer.log_probs(logits, strings, tried.letters)


def largest_error(tried: Peer) -> float:
    """By which a log-probability may differ from the model's."""
    return tried.largest_error


def sample(tried: Peer, n: int, seed: int) -> list[str]:
    """The strings themselves."""
    return tried.sample(n, min(256, tried.largest_batch), seed)


def one_at_a_time(tried: Peer, seconds: float, seed: int) -> list[float]:
    """Seconds of each call for one string, for about so many seconds; a seed for each."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        tried.sample(1, 1, seed + len(found))
        found.append(time.perf_counter() - began)
    return found


def many(tried: Peer, n: int, batch_size: int, seed: int) -> float:
    """Strings a second of one call."""
    began = time.perf_counter()
    tried.sample(n, batch_size, seed)
    return n / (time.perf_counter() - began)


VERBS: dict[str, Callable[..., Any]] = {
    verb.__name__: verb for verb in (log_probs, largest_error, sample, one_at_a_time, many)
}

if __name__ == "__main__":
    main()
