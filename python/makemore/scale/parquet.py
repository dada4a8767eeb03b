"""Parquet files written some rows at a time, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 1 << 18
"""Rows that are held in memory before they are written, at least, where there are so many."""

_SEED = ["seed"]  # the same in every row


def write_parquet(stream: Any, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Writes batches of one schema, and gives their number of rows."""
    rows = waiting = 0
    held: list[pa.RecordBatch] = []
    encoding = {"row": "DELTA_BINARY_PACKED"} if "row" in schema.names else None
    with pq.ParquetWriter(
        stream, schema, compression="zstd", use_dictionary=_SEED, column_encoding=encoding
    ) as writer:
        for batch in batches:
            rows += len(batch)
            waiting += len(batch)
            held.append(batch)
            if waiting >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(held, schema))
                held, waiting = [], 0
        if held:
            writer.write_table(pa.Table.from_batches(held, schema))
    return rows
