"""Each string once, of a data set that does not fit in memory: by DuckDB."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from makemore.errors import DataError, MissingDependencyError, OptionError
from makemore.limits import integer, shown
from makemore.scale.parquet import write_parquet
from makemore.scale.rows import CHUNK_ROWS, SCHEMA
from makemore.scale.storage import Folder
from makemore.scale.verification import manifest_of

MEMORY_LIMIT = "2GB"

_THREADS = integer(1, 2**12)  # of a million, DuckDB ends the process for want of memory

_FIRST_OF_EACH = """
SELECT text, arg_min(log_prob, "row") AS log_prob, any_value(seed) AS seed, min("row") AS "row"
FROM shards GROUP BY text ORDER BY "row"
"""


def distinct(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    memory_limit: str = MEMORY_LIMIT,
    threads: int | None = None,
    spill: str | os.PathLike[str] | None = None,
) -> int:
    """Writes the first row of each string of a folder that `generate` made into one Parquet file,
    in the order of rows, and gives how many there are.

    output: a path or a URI; the file is there, whole, at the end, or as it was.
    memory_limit: of DuckDB, such as "2GB"; what needs more goes to disk.
    threads: of DuckDB; all cores by default.
    spill: a local folder for what goes to disk; a new one in that of temporary files by default.

    Raises `DataError` where shards are missing or cannot be read, `OptionError` for an option that
    cannot be or an output that is a folder, `MissingDependencyError` without DuckDB
    (`pip install "makemore[scale]"`).
    """
    try:
        import duckdb  # noqa: PLC0415
    except ImportError:
        raise MissingDependencyError(
            'distinct needs the package duckdb: pip install "makemore[scale]"'
        ) from None
    if threads is not None:
        threads = _THREADS.parse("threads", threads)
    folder = Folder.of(source)
    manifest = manifest_of(folder)
    if manifest.kind != "sample" or not manifest.complete:
        raise DataError(
            f"{folder.name}: {len(manifest.shards)} of {manifest.files} files of kind "
            f"{manifest.kind!r} are there; distinct takes all that generate makes"
        )
    files = [each.file for each in manifest.shards]
    target, name = Folder.of_file(output)
    with _new_folder(spill) as temporary:
        target.create()
        config: dict[str, Any] = {"memory_limit": memory_limit, "temp_directory": temporary}
        if threads is not None:
            config["threads"] = threads
        try:
            connection = duckdb.connect(config=config)
        except (duckdb.Error, TypeError) as error:
            raise OptionError(f"memory_limit is {memory_limit!r}: {error}") from None
        with connection, target.replacement(name) as stream:
            connection.execute("SET preserve_insertion_order = false")
            connection.register("shards", _reader(folder, files))
            try:
                found = connection.sql(_FIRST_OF_EACH).to_arrow_reader(CHUNK_ROWS)
                return write_parquet(stream, SCHEMA, map(_as_shards, found))
            except duckdb.Error as error:
                raise DataError(f"{folder.name}: DuckDB stopped: {error}") from None


def _new_folder(spill: str | os.PathLike[str] | None) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="makemore-distinct-", dir=spill)
    except OSError as error:
        raise OptionError(
            f"spill is {shown(spill)}; no folder can be made in it: {error.strerror}"
        ) from None


def _reader(folder: Folder, files: list[str]) -> pa.RecordBatchReader:
    """The rows of shards, a few at a time: a scan by pyarrow's dataset would read far ahead."""

    def batches() -> Iterator[pa.RecordBatch]:
        for file in files:
            with folder.open(file) as stream, pq.ParquetFile(stream) as shard:
                yield from shard.iter_batches(use_threads=False)

    return pa.RecordBatchReader.from_batches(SCHEMA, batches())


def _as_shards(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with the types that shards have."""
    return pa.record_batch([batch[each.name].cast(each.type) for each in SCHEMA], SCHEMA)
