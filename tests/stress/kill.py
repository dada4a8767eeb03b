"""Kills training and export at random moments: `python tests/stress/kill.py --kills 1000`.

Of the kills half come over a training after its first checkpoint, a quarter while an export puts
its artifact in place, the rest at any moment of either. Then pairs of exports go into one target at
once. Exits with 1 if a best checkpoint was lost, an artifact mixed, or if a next run did not work.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

# Before PyTorch comes in: a pool of threads does not survive a fork.
os.environ["OMP_NUM_THREADS"] = "1"

from kill_export import ExportProver
from kill_train import TrainProver

_NEXT = 8  # of so many kills of an export, one is followed by an export that is left alone


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="makemore-kill-") as work:
        for name in ("train", "export"):
            Path(work, name).mkdir()
        exports = ExportProver(Path(work, "export"), rng)
        trains = TrainProver(Path(work, "train"), rng)
        kills = kill(trains, exports, options.kills)
        codes = Counter(tuple(sorted(exports.pair())) for _ in range(options.pairs))
    failures = Counter(trains.failures + exports.failures)
    print(f"{kills.total()} kills in {time.monotonic() - began:.0f} s: {dict(kills)}")
    print(f"{trains.finished} runs that were killed went on to their end")
    print(f"exit codes of {options.pairs} pairs of exports: {dict(codes)}")
    for failure, times in failures.most_common():
        print(f"{times} times: {failure}")
    return 1 if failures else 0


def kill(trains: TrainProver, exports: ExportProver, kills: int) -> Counter[str]:
    """So many kills, by kind: those that came too late are made again."""
    wanted = {
        "training after its first checkpoint": kills // 2,
        "export in the swap": kills // 4,
        "training before": kills // 8,
    }
    wanted["export at any moment"] = kills - sum(wanted.values())
    how = {
        "training after its first checkpoint": lambda: trains.kill(after_checkpoint=True),
        "training before": lambda: trains.kill(after_checkpoint=False),
        "export in the swap": lambda: exports.kill(in_swap=True),
        "export at any moment": lambda: exports.kill(in_swap=False),
    }
    done: Counter[str] = Counter()
    for kind, times in wanted.items():
        tries = 0
        while done[kind] < times and tries < 3 * times:
            tries += 1
            done[kind] += how[kind]()
            if kind.startswith("export") and tries % _NEXT == 0:
                exports.finish()
    return done


if __name__ == "__main__":
    sys.exit(main())
