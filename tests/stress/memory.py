"""Memory of one sampler that many threads call: `python tests/stress/memory.py --threads 40`.

Prints by how much more is resident after the calls of many threads than after those of one, and
exits with 1 where that is over the limit.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path
from threading import Barrier

import makemore
from makemore import Sampler

LIMIT = 128 << 20


def resident() -> int:
    """Bytes of memory of this process that are in use."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


def growth(sampler: Sampler, *, threads: int, strings: int, rounds: int = 2) -> int:
    """By how much `threads` callers at once make more resident than one after the other did."""
    for seed in range(rounds * 2):
        sampler.sample(strings, seed=seed)
    alone = resident()
    barrier = Barrier(threads)

    def call(thread: int) -> None:
        for seed in range(rounds):
            barrier.wait()
            sampler.sample(strings, seed=thread * rounds + seed)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, range(threads)))
    return resident() - alone


def trained(folder: Path) -> Path:
    """The default artifact, or the largest of the tests' where the exporter is not installed."""
    try:
        (export,) = entry_points(group="console_scripts", name="mm-export")
        command = export.load()
    except ImportError:
        return Path(__file__).parents[1] / "artifacts" / "schema-2" / "transformer"
    command(["-o", str(folder / "names")], standalone_mode=False)
    return folder / "names"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifact", type=Path, help="[default: what mm-export makes]")
    parser.add_argument("--threads", type=int, default=40)
    parser.add_argument("--strings", type=int, default=4000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        artifact = options.artifact or trained(Path(folder))
        sampler = makemore.load(artifact, threads=1)
        grown = growth(sampler, threads=options.threads, strings=options.strings)
    print(f"{options.threads} threads of sample({options.strings}): {grown / 2**20:+.0f} MiB")
    return 1 if grown > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
