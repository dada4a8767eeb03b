"""Data sets of any size: rows of a seed, or scores, in Parquet files, on all cores or a cluster.

    >>> from makemore import scale
    >>> if __name__ == "__main__":  # workers are processes that import this file
    ...     scale.generate("names", 1_000_000_000, 7, "s3://bucket/names")

A row of a seed is the same wherever it is made, so that any split gives the same data set, and what
was lost is made again. Needs pyarrow: `pip install "makemore[table]"`.
"""

from makemore.errors import MissingDependencyError

try:
    import pyarrow as _  # noqa: F401
except ImportError:
    raise MissingDependencyError(
        'makemore.scale needs the package pyarrow: pip install "makemore[table]"'
    ) from None

from makemore.scale.distinct_rows import distinct
from makemore.scale.manifest import Manifest, Shard
from makemore.scale.row_digest import digest
from makemore.scale.rows import shard
from makemore.scale.samples import generate
from makemore.scale.scores import score
from makemore.scale.tasks import Result
from makemore.scale.verification import seed_of, verify

__all__ = [
    "Manifest",
    "Result",
    "Shard",
    "digest",
    "distinct",
    "generate",
    "score",
    "seed_of",
    "shard",
    "verify",
]
