"""The first `load` from many threads at once: `python tests/stress/first_load.py --processes 500`.

Each process is a fresh Python, whose threads load an artifact and read metadata as the first thing
they do; in every second one they import makemore as well. Exits with 1 if a process failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ARTIFACT = Path(__file__).parents[1] / "artifacts" / "cache"

FIRST = """
import sys, threading
artifact, count, early, text = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "early", sys.argv[4]
if early:
    import makemore
sys.setswitchinterval(1e-6)
barrier, done = threading.Barrier(count), []
def first(number):
    barrier.wait()
    import makemore
    if number % 4 == 3:
        done.append(makemore.Artifact.from_json(text, "text").max_length)
    else:
        done.append(tuple(makemore.load(artifact, threads=1).sample(3, seed=1)))
threads = [threading.Thread(target=first, args=(number,)) for number in range(count)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(done) == count and len(set(done)) == 2, done
"""


def failures(processes: int, *, threads: int, jobs: int) -> list[str]:
    """How those of the processes ended that did not end well."""
    import makemore

    text = makemore.load(ARTIFACT, threads=1).artifact.to_json()

    def one(number: int) -> str:
        how = "early" if number % 2 else "late"
        command = [sys.executable, "-c", FIRST, str(ARTIFACT), str(threads), how, text]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        last = ended.stderr.strip().splitlines()[-1:]
        return "" if ended.returncode == 0 else f"exit code {ended.returncode}: {''.join(last)}"

    with ThreadPoolExecutor(jobs) as pool:
        return [*filter(None, pool.map(one, range(processes)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    failed = failures(options.processes, threads=options.threads, jobs=options.jobs)
    for failure in failed:
        print(failure)
    print(f"{len(failed)} of {options.processes} processes failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
