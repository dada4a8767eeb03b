"""The rows of a seed in a folder of Parquet files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa

from makemore.errors import OptionError
from makemore.limits import Limit, integer
from makemore.options import FilterOptions, document
from makemore.scale.engines import Engine
from makemore.scale.manifest import Manifest, Shard
from makemore.scale.model import Model
from makemore.scale.parquet import write_parquet
from makemore.scale.row_digest import added, digest
from makemore.scale.rows import SCHEMA, batches
from makemore.scale.run import OnResult, run
from makemore.scale.storage import Folder
from makemore.scale.tasks import Task

SHARD_ROWS = 1_000_000

_COUNT = integer(1, 2**64)
_ROW = integer(0, 2**64)
_STRING = Limit(str, "a string")


@dataclass(frozen=True)
class SampleJob:
    """Makes shards of the rows of a seed."""

    folder: Folder
    model: Model
    seed: int
    options: dict[str, Any]

    def make(self, task: Task) -> Shard:
        """Makes a shard; its memory does not grow with its rows."""
        digests: list[str] = []
        sampler = self.model.sampler

        def digested() -> Iterator[pa.RecordBatch]:
            for batch in batches(sampler, task.first_row, task.rows, self.seed, self.options):
                digests.append(digest(batch))
                yield batch

        with self.folder.replacement(task.file) as stream:
            strings = write_parquet(stream, SCHEMA, digested())
        return Shard(
            file=task.file,
            first_row=task.first_row,
            rows=task.rows,
            strings=strings,
            bytes=stream.bytes,
            sha256=stream.sha256,
            digest=added(digests),
        )


def generate(
    artifact: str | os.PathLike[str] | bytes,
    rows: int,
    seed: int,
    output: str | os.PathLike[str],
    *,
    first_row: int = 0,
    shard_rows: int = SHARD_ROWS,
    workers: int | None = None,
    ray: str | None = None,
    executor: Executor | None = None,
    on_result: OnResult | None = None,
    **options: Any,
) -> Manifest:
    """Writes the strings of `rows` rows that pass into Parquet files, and gives their manifest.

    What is there already is checked, and kept; so a run that was ended, or a worker that died,
    costs the shards that were under way. The files hold the columns of `shard`, and are named by
    their rows.

    artifact: its folder, its model.onnx, or the bytes of that.
    output: a folder, or a URI of one that pyarrow knows: file, s3, gs, hdfs, abfs.
    shard_rows: rows that are tried for a file.
    workers: processes, each with one thread; all cores by default. With 1 nothing is started.
    ray: the address of a Ray cluster, whose nodes have makemore and reach `output`, or "local".
    executor: any `concurrent.futures.Executor`, such as that of a Dask client, whose workers reach
      `artifact` and `output`. It is not shut down.
    on_result: called in this process with a `Result` for each shard that is there.

    Raises `OptionError` for an option that cannot be, or a folder of another request or in which
    another run works; `DataError` for a manifest that is none; `WorkerError` where workers die
    again and again, or Ray or the executor gives up.
    """
    rows = _COUNT.parse("rows", rows)
    seed = _ROW.parse("seed", seed)
    first_row = _ROW.parse("first_row", first_row)
    shard_rows = _COUNT.parse("shard_rows", shard_rows)
    given = _given(FilterOptions(**options))
    engine = Engine(workers, ray, executor).checked()
    model = Model.of(artifact, as_bytes=ray is not None)
    model.open().sample_columns(first_row, 0, seed=seed, **given)  # raises for what cannot be
    if first_row + rows > 2**64:
        raise OptionError(f"first_row is {first_row}; with {rows} rows it passes 2**64")
    request = {"rows": rows, "first_row": first_row, "seed": seed, "shard_rows": shard_rows}
    manifest = Manifest(
        kind="sample",
        artifact=model.sha256,
        request=request | _recorded(given),
        versions=model.versions,
        files=-(-rows // shard_rows),
    )
    job = SampleJob(Folder.of(output), model, seed, given)
    return run(job, manifest, _tasks(first_row, rows, shard_rows), engine, on_result)


document(generate, FilterOptions)


def _tasks(first_row: int, rows: int, shard_rows: int) -> Iterator[Task]:
    end = first_row + rows
    width = len(str(end - 1))
    for begin in range(first_row, end, shard_rows):
        count = min(shard_rows, end - begin)
        name = f"rows-{begin:0{width}d}-{begin + count - 1:0{width}d}.parquet"
        yield Task(name, begin, count)


def _given(options: FilterOptions) -> dict[str, Any]:
    """The options that are not as by default; `not_in` as a set of plain strings."""
    if options.adjust is not None:
        raise OptionError("adjust is a function, which no manifest can hold: use shard")
    every = {each.name: options[each.name] for each in fields(FilterOptions)}
    if options.not_in is not None:
        strings = (_STRING.parse("an element of not_in", each) for each in options.not_in)
        every["not_in"] = frozenset(map(str, strings))  # NumPy's are of a type of their own
    # By value: who writes a default out asks for the same as who does not.
    return {
        each.name: every[each.name]
        for each in fields(FilterOptions)
        if every[each.name] != each.default
    }


def _recorded(given: dict[str, Any]) -> dict[str, Any]:
    """The options as a manifest holds them: of a collection its digest; not what changes the speed
    only.
    """
    recorded = {name: value for name, value in given.items() if name != "batch_size"}
    if "not_in" in recorded:
        strings = sorted(recorded["not_in"])
        found = hashlib.sha256("\0".join(strings).encode("utf-8", "surrogatepass")).hexdigest()
        recorded["not_in"] = f"{len(strings)} strings, SHA-256 {found}"
    return recorded
