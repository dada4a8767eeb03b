"""What it takes to make a data set of many rows: `python benchmarks/scale.py ARTIFACT -o FOLDER`.

Rows are streamed by one process, without a file, and made by one worker, by two, and on a local
Ray. Asserts that all of them are the same rows, though workers are killed and a run is ended half
way; that a shard that was changed is found; and that as many distinct strings are written as DuckDB
counts. CPU seconds are those of all processes together but Ray's; other work on the machine changes
them little, and the wall's much.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import makemore
from makemore import scale
from makemore.scale.storage import Folder

STEPS = ("overhead", "ray", "kill", "resume", "tamper", "memory", "distinct")
SEED = 7


class StoppedError(Exception):
    """Ends a run half-way."""


class Bench:
    """One data set, made again and again."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.results: dict[str, Any] = {"rows": options.rows, "cores": os.cpu_count()}
        self.digest: str | None = None

    def generate(self, name: str, **how: Any) -> scale.Manifest:
        """Makes all rows in a folder of that name, which must have the digest of the others."""
        manifest = scale.generate(
            self.options.artifact,
            self.options.rows,
            SEED,
            self.options.output / name,
            shard_rows=self.options.shard_rows,
            **how,
        )
        self.digest = self.digest or manifest.digest
        assert manifest.digest == self.digest, f"{name}: {manifest.digest}, not {self.digest}"
        return manifest

    def timed(self, what: str, run: Callable[[], Any]) -> tuple[float, float]:
        """Seconds of processors that a function takes, with the processes that it ends; and of the
        wall.
        """
        before, began = cpu_seconds(), time.perf_counter()
        run()
        wall, cpu = time.perf_counter() - began, cpu_seconds() - before
        rate = f"{self.options.rows / wall:,.0f}"
        self.tell(what, cpu=round(cpu, 2), wall=round(wall, 2), rows_a_second=rate)
        return cpu, wall

    def tell(self, what: str, **facts: Any) -> None:
        self.results[what] = facts
        print(
            f"{what}: " + ", ".join(f"{name} {value}" for name, value in facts.items()), flush=True
        )

    def fresh(self, name: str) -> None:
        shutil.rmtree(self.options.output / name, ignore_errors=True)

    def overhead(self) -> None:
        """`stream()` in one process, one worker and two, in turns."""
        self.strings()
        for number in range(1, self.options.rounds + 1):
            streamed, _ = self.timed(f"stream() {number}", self.stream)
            self.fresh("one")
            one, alone = self.timed(f"one worker {number}", lambda: self.generate("one", workers=1))
            self.fresh("two")
            two, both = self.timed(f"two workers {number}", lambda: self.generate("two", workers=2))
            self.tell(
                f"round {number}",
                one_worker_over_stream=f"{one / streamed - 1:+.1%} of CPU",
                two_workers_over_stream=f"{two / streamed - 1:+.1%} of CPU",
                two_over_one=f"{alone / both:.2f}x",
            )
        self.fresh("two")

    def stream(self) -> None:
        sampler = makemore.load(self.options.artifact, threads=1)
        left = self.strings()
        stream = sampler.stream(left, seed=SEED)
        while chunk := stream.chunk():
            left -= len(chunk)
        assert left == 0

    def strings(self) -> int:
        """How many of the rows pass; they are in the folder "one" then."""
        manifest = scale.Manifest.read(Folder.of(self.options.output / "one"))
        if manifest is None or manifest.strings is None:
            manifest = self.generate("one", workers=1)
        assert manifest.strings is not None
        return manifest.strings

    def ray(self) -> None:
        self.killed("Ray, two workers, two killed", ray_pids, ray="local", workers=2)

    def kill(self) -> None:
        self.killed("two workers, two killed", child_pids, workers=2)

    def killed(self, what: str, pids: Callable[[], list[int]], **how: Any) -> None:
        """Kills a worker when the first shard is there, and when the second is."""
        self.strings()
        self.fresh("killed")
        killed: list[int] = []

        def kill(_: scale.Result) -> None:
            if len(killed) < 2 and (found := pids()):
                os.kill(found[0], signal.SIGKILL)
                killed.append(found[0])

        self.timed(what, lambda: self.generate("killed", on_result=kill, **how))
        assert len(killed) == 2
        self.fresh("killed")

    def resume(self) -> None:
        self.strings()
        self.fresh("resumed")
        files = -(-self.options.rows // self.options.shard_rows)
        made: list[str] = []

        def stop(result: scale.Result) -> None:
            made.append(result.state)
            if len(made) == files // 2:
                raise StoppedError

        try:
            self.generate("resumed", workers=2, on_result=stop)
        except StoppedError:
            made.clear()
        manifest = self.generate(
            "resumed", workers=2, on_result=lambda each: made.append(each.state)
        )
        kept = made.count("kept")
        assert kept >= files // 2
        self.tell("gone on with", kept=kept, made=made.count("made"), digest=manifest.digest)
        self.fresh("resumed")

    def tamper(self) -> None:
        self.strings()
        folder = self.options.output / "one"
        file = sorted(folder.glob("*.parquet"))[0]
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        wrong = scale.verify(folder)
        assert len(wrong) == 1, wrong
        states: list[str] = []
        self.generate("one", workers=2, on_result=lambda each: states.append(each.state))
        assert states.count("remade") == 1
        assert scale.verify(folder) == []
        self.tell("one bit changed", found=file.name, remade=states.count("remade"))

    def memory(self) -> None:
        """Peak memory of one process that makes a shard of that many rows."""
        for shards in (1, 4):
            rows = shards * self.options.shard_rows
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                args = (str(self.options.artifact), rows, str(self.options.output / "memory"))
                peak = pool.apply(make_one_shard, args)
            self.fresh("memory")
            self.tell(f"a worker, a shard of {rows:,} rows", peak_mb=peak)

    def distinct(self) -> None:
        import duckdb  # noqa: PLC0415

        self.strings()
        folder, file = self.options.output / "one", self.options.output / "distinct.parquet"
        found: list[int] = []
        with peak_memory() as peak:
            self.timed(
                "distinct",
                lambda: found.append(
                    scale.distinct(folder, file, memory_limit=self.options.memory_limit)
                ),
            )
        sql = f"SELECT count(DISTINCT text) FROM read_parquet('{folder}/*.parquet')"
        [(counted,)] = duckdb.sql(sql).fetchall()
        assert found == [counted]
        self.tell("distinct strings", count=counted, limit=self.options.memory_limit, **peak)
        file.unlink()


class peak_memory(dict[str, Any]):  # noqa: N801  # read as a function
    """The most memory that this process holds within a block, watched from a thread."""

    def __enter__(self) -> dict[str, Any]:
        self["resident_before_mb"] = self["peak_mb"] = resident_mb()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self["peak_mb"] = max(self["peak_mb"], resident_mb())


def resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def make_one_shard(artifact: str, rows: int, folder: str) -> int:
    scale.generate(artifact, rows, SEED, folder, shard_rows=rows, workers=1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def cpu_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def child_pids() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid]


def ray_pids() -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if (process / "cmdline").read_text().startswith("ray::run_task"):
                found.append(int(process.name))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--shard-rows", type=int, default=250_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-limit", default="2GB")
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=STEPS)
    parser.add_argument("--keep", action="store_true", help="leave the rows in OUTPUT/one")
    parser.add_argument("--results", type=Path, help="a JSON file")
    bench = Bench(parser.parse_args())
    for step in bench.options.steps:
        getattr(bench, step)()
    bench.results["digest"] = bench.digest
    print(f"digest of all rows: {bench.digest}")
    if not bench.options.keep:
        shutil.rmtree(bench.options.output)
    if bench.options.results is not None:
        bench.options.results.write_text(json.dumps(bench.results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
