"""Rows of a seed in a pool of processes: `python examples/rows_in_a_pool.py ARTIFACT ROWS FILE`.

`makemore.scale.generate` does the same with shards that are kept and checked. This is the bare
loop, for an engine of one's own: `shard` is a plain function, and any split gives the same rows.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import pyarrow as pa
import pyarrow.parquet as pq
from makemore import scale

SHARD_ROWS = 100_000


def part(first_row: int, artifact: str, rows: int, seed: int) -> pa.Table:
    """The strings of some of the rows."""
    return scale.shard(artifact, first_row, min(SHARD_ROWS, rows - first_row), seed=seed)


def main(artifact: str, rows: int, file: str) -> None:
    """Writes the strings of all rows, in order."""
    make = partial(part, artifact=artifact, rows=rows, seed=7)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        tables = pool.map(make, range(0, rows, SHARD_ROWS))
        first = next(tables)
        with pq.ParquetWriter(file, first.schema) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
