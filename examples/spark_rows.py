"""Rows of a seed as a DataFrame of Spark: `python examples/spark_rows.py ARTIFACT ROWS FOLDER`.

Needs `pip install 'makemore[cpu,table]' pyspark pandas` and Java, on the workers makemore too. The
artifact lies where all of them see it; or open it as bytes here, and Spark sends these along.
"""

import sys
from collections.abc import Iterator

import pandas as pd
from makemore import scale
from pyspark.sql import DataFrame, SparkSession

SHARD_ROWS = 100_000
SCHEMA = "text string, log_prob double, seed bigint, row bigint"


def sample(spark: SparkSession, artifact: str | bytes, rows: int, seed: int) -> DataFrame:
    """The strings of the first rows of a seed, a task for each `SHARD_ROWS` of them."""

    def shards(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for first_row in batch["id"]:
                count = min(SHARD_ROWS, rows - first_row)
                table = scale.shard(artifact, int(first_row), int(count), seed=seed).to_pandas()
                yield table.astype({"seed": "int64", "row": "int64"})  # Spark has no unsigned ones

    tasks = -(-rows // SHARD_ROWS)
    return spark.range(0, rows, SHARD_ROWS, tasks).mapInPandas(shards, SCHEMA)


if __name__ == "__main__":
    session = SparkSession.builder.getOrCreate()
    sample(session, sys.argv[1], int(sys.argv[2]), 7).write.parquet(sys.argv[3])
