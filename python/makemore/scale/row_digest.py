"""A number that tells whether two data sets hold the same rows, however they are cut into files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_WORD = 2**64
# Odd numbers, so that multiplying by them modulo 2**64 loses nothing: the fraction of the golden
# ratio, and the two multipliers of SplitMix64's finalizer (Steele, Lea and Flood, 2014).
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def digest(table: pa.Table | pa.RecordBatch) -> str:
    """The digest of the rows of a table, of its columns text, seed and row: 16 hexadecimal digits.

    It is the sum of one hash for each row, modulo 2**64: the order of the rows and how they are
    divided change nothing, and the digests of parts add up to that of the whole. It tells a row
    that is missing, twice or changed by accident; the SHA-256 of files is there for tampering.
    Log-probabilities are left out: processors may round their last bits differently.
    """
    columns = (table["text"], table["seed"], table["row"])
    text, seed, row = (
        each.combine_chunks() if isinstance(each, pa.ChunkedArray) else each for each in columns
    )
    text = text.cast(pa.large_string())
    _, offsets, data = text.buffers()
    places = np.frombuffer(offsets, dtype=np.int64)[text.offset : text.offset + len(text) + 1]
    utf8 = np.frombuffer(data, dtype=np.uint8) if data else np.empty(0, dtype=np.uint8)
    hashes = _text_hashes(utf8[places[0] : places[-1]], places - places[0])
    for numbers in (seed, row):
        hashes = _mixed(hashes * np.uint64(_GOLDEN) + pc.cast(numbers, pa.uint64()).to_numpy())
    return shown(int(hashes.sum(dtype=np.uint64)))


def added(digests: list[str]) -> str:
    """The digest of a data set from those of its parts."""
    return shown(sum(int(each, 16) for each in digests) % _WORD)


def shown(number: int) -> str:
    return f"{number:016x}"


def _text_hashes(utf8: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Of each text the sum of (byte + 1) * golden**(place + 1) modulo 2**64, (n,)."""
    lengths = np.diff(offsets)
    place = np.arange(len(utf8)) - np.repeat(offsets[:-1], lengths)
    powers = np.cumprod(np.full(max(lengths, default=0), _GOLDEN, dtype=np.uint64))
    terms = (utf8.astype(np.uint64) + np.uint64(1)) * powers[place]
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms)])
    hashes: NDArray[np.uint64] = sums[offsets[1:]] - sums[offsets[:-1]]
    return hashes


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer of each."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _MIX_1
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _MIX_2
    mixed: NDArray[np.uint64] = numbers ^ (numbers >> np.uint64(31))
    return mixed
