"""Log-probabilities of the strings of Parquet files, file by file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from makemore.errors import DataError, OptionError
from makemore.scale.engines import Engine
from makemore.scale.manifest import Manifest, Shard
from makemore.scale.model import Model
from makemore.scale.parquet import write_parquet
from makemore.scale.run import OnResult, run
from makemore.scale.storage import Folder
from makemore.scale.tasks import Task

CHUNK_ROWS = 1 << 16
"""Strings scored at a time."""


@dataclass(frozen=True)
class ScoreJob:
    """Scores files of one folder into another."""

    folder: Folder
    source: Folder
    model: Model
    column: str
    score_column: str
    options: dict[str, Any]

    def make(self, task: Task) -> Shard:
        """Scores a file; memory does not grow with its rows."""
        with (
            self.source.open(task.file) as source,
            _opened(source, self._name(task)) as table,
            self.folder.replacement(task.file) as stream,
        ):
            schema = _scored(table.schema_arrow, self, self._name(task))
            strings = write_parquet(stream, schema, self._batches(table, schema, task))
        return Shard(
            file=task.file,
            first_row=task.first_row,
            rows=task.rows,
            strings=strings,
            bytes=stream.bytes,
            sha256=stream.sha256,
            source=task.source,
        )

    def _batches(
        self, table: pq.ParquetFile, schema: pa.Schema, task: Task
    ) -> Iterator[pa.RecordBatch]:
        row = 0
        for batch in _read(table, self._name(task)):
            where = f"{self._name(task)}, rows from {row + 1} on"
            try:
                texts = batch[self.column].to_pylist()
            except UnicodeDecodeError as error:
                raise DataError(f"{where}: a string is not UTF-8: {error.reason}") from None
            if None in texts:
                raise DataError(f"{where}: row {row + texts.index(None) + 1} has no string")
            try:
                scores = self.model.sampler.score(texts, **self.options)
            except OptionError as error:
                raise OptionError(f"{where}: {error}") from None
            yield pa.record_batch([*batch.columns, pa.array(scores)], schema)
            row += len(batch)

    def _name(self, task: Task) -> str:
        return f"{self.source.name}/{task.file}"


def score(
    artifact: str | os.PathLike[str] | bytes,
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    column: str = "text",
    score_column: str = "log_prob",
    label: str | None = None,
    on_unknown: Literal["error", "-inf"] = "error",
    workers: int | None = None,
    ray: str | None = None,
    executor: Executor | None = None,
    on_result: OnResult | None = None,
) -> Manifest:
    """Scores the strings of a folder of Parquet files into files of the same names in another
    folder, and gives their manifest.

    Each has the columns of its source, and the scores (float64, natural logarithm) as one more. A
    file is scored by one worker. What is there already is kept, if its source has not changed
    since.

    source, output: folders, or URIs of them. column: that of the strings. score_column: what that
    of the scores is called. label, on_unknown: as those of `Sampler.score`. The others are those of
    `generate`.

    Raises what `generate` raises, and `DataError` for a file that is no Parquet, cannot be read to
    its end, or lacks the column.
    """
    engine = Engine(workers, ray, executor).checked()
    model = Model.of(artifact, as_bytes=ray is not None)
    options = {"label": label, "on_unknown": on_unknown}
    model.open().score([], **options)  # type: ignore[arg-type]  # raises for what cannot be
    job = ScoreJob(Folder.of(output), Folder.of(source), model, column, score_column, options)
    if (job.folder.path, job.folder.filesystem) == (job.source.path, job.source.filesystem):
        raise OptionError(f"{job.source.name}: scores go to another folder than their source")
    tasks = [*_tasks(job)]
    manifest = Manifest(
        kind="score",
        artifact=model.sha256,
        request={"column": column, "score_column": score_column, **options},
        versions=model.versions,
        files=len(tasks),
    )
    return run(job, manifest, tasks, engine, on_result)


def _tasks(job: ScoreJob) -> Iterator[Task]:
    """A task for each file, once all are known to have a column of strings."""
    files = {name: each for name, each in job.source.files().items() if name.endswith(".parquet")}
    if not files:
        raise DataError(f"{job.source.name}: holds no .parquet files to score")
    first_row = 0
    for name in sorted(files):
        where = f"{job.source.name}/{name}"
        with job.source.open(name) as stream, _opened(stream, where) as table:
            _scored(table.schema_arrow, job, where)
            rows = table.metadata.num_rows
        found = files[name]
        yield Task(name, first_row, rows, source=f"{found.size} bytes, {found.mtime_ns}")
        first_row += rows


def _opened(stream: Any, where: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(stream)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: it is not Parquet: {error}") from None


def _read(table: pq.ParquetFile, where: str) -> Iterator[pa.RecordBatch]:
    try:
        yield from table.iter_batches(CHUNK_ROWS, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: it cannot be read: {error}") from None


def _scored(schema: pa.Schema, job: ScoreJob, where: str) -> pa.Schema:
    """The columns of a file and one more."""
    if job.column not in schema.names:
        raise DataError(f"{where}: it has no column {job.column!r}; it has {schema.names!r:.300}")
    kind = schema.field(job.column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(f"{where}: column {job.column!r} is {kind}; it must be string")
    if job.score_column in schema.names:
        raise OptionError(
            f"{where}: it has a column {job.score_column!r} already; name another score_column"
        )
    return schema.append(pa.field(job.score_column, pa.float64()))
