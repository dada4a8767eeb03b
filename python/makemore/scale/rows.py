"""The rows of a seed as tables: what any engine can call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from makemore.errors import OptionError
from makemore.limits import integer
from makemore.loading import load
from makemore.options import FilterOptions, document
from makemore.sample import SAMPLE_COLUMNS, SampleColumns
from makemore.sampler import Sampler

SCHEMA = pa.schema(
    [(name, getattr(pa, SAMPLE_COLUMNS[name])()) for name in ("text", "log_prob", "seed", "row")]
)

CHUNK_ROWS = 1 << 18
"""Rows decoded at a time: the more, the more prefixes they share, and the more memory they take."""

_CHUNK_TOKENS = 1 << 23
"""Most tokens, and bytes, that they have together, as far as is known: models of long strings
decode fewer rows at a time."""

_NUMBER = integer(0, 2**64)


def shard(
    artifact: Sampler | str | os.PathLike[str] | bytes,
    first_row: int,
    rows: int,
    *,
    seed: int,
    **options: Any,
) -> pa.Table:
    """The strings of the rows from `first_row` to `first_row + rows - 1` that pass.

    A plain function, which Spark, Dask or a pool of processes may call: however rows are divided
    among its calls, the tables put together are the same. Columns: text (string), log_prob
    (float64, natural logarithm), seed and row (uint64).

    artifact: a sampler, or what `makemore.load` takes, which is then opened with one thread.

    Raises what `Sampler.sample_rows` raises.
    """
    sampler = artifact if isinstance(artifact, Sampler) else load(artifact, threads=1)
    first_row = _NUMBER.parse("first_row", first_row)
    rows = _NUMBER.parse("rows", rows)
    seed = _NUMBER.parse("seed", seed)
    return pa.Table.from_batches(batches(sampler, first_row, rows, seed, options), SCHEMA)


document(shard, FilterOptions)


def batches(
    sampler: Sampler, first_row: int, rows: int, seed: int, options: dict[str, Any]
) -> Iterator[pa.RecordBatch]:
    """The same some rows at a time; at least one batch, which may be empty."""
    if first_row + rows > 2**64:
        raise OptionError(f"first_row is {first_row}; with {rows} rows it passes 2**64")
    size = max(1, min(CHUNK_ROWS, _CHUNK_TOKENS // sampler.max_length_of(FilterOptions(**options))))
    done = 0
    while done < max(rows, 1):
        count = min(size, rows - done)
        columns = sampler.sample_columns(first_row + done, count, seed=seed, **options)
        yield _batch(columns, seed)
        done += max(count, 1)
        # Strings are mostly far shorter than they may be; those that follow are like these.
        size = max(1, min(CHUNK_ROWS, _CHUNK_TOKENS * count // max(len(columns.utf8), 1)))


def _batch(columns: SampleColumns, seed: int) -> pa.RecordBatch:
    count = len(columns.rows)
    if len(columns.utf8) >= 2**31:
        raise OptionError(f"{count:,} strings have {len(columns.utf8):,} bytes; 2**31 is the limit")
    text = pa.StringArray.from_buffers(
        count, pa.py_buffer(columns.offsets.astype(np.int32)), pa.py_buffer(columns.utf8)
    )
    seeds = np.full(count, seed, dtype=np.uint64)
    arrays = [text, *map(pa.array, (columns.log_probs, seeds, columns.rows))]
    return pa.record_batch(arrays, SCHEMA)
