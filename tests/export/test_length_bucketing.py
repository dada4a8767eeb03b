"""Which strings a step trains on."""

from __future__ import annotations

from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from makemore_export.data.length_bucketing import LengthBuckets

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=40).map(np.array)


def epoch(buckets, number, count):
    """The batches of epoch `number`, which has `count`."""
    return [buckets.rows(number * count + step).tolist() for step in range(1, count + 1)]


@given(LENGTHS, st.integers(1, 12), st.integers(1, 3), st.integers(0, 9))
def test_an_epoch_has_every_string_once_but_for_less_than_a_batch(lengths, size, bucket, number):
    n, size = len(lengths), min(size, len(lengths))
    batches = epoch(LengthBuckets(lengths, size, 3, bucket), number, n // size)
    rows = list(chain(*batches))
    assert {len(batch) for batch in batches} == {size}
    assert len(set(rows)) == len(rows) > n - size


def test_no_string_is_left_out_for_ever():
    buckets = LengthBuckets(np.arange(1, 20), 10, seed=1)
    assert {row for number in range(20) for row in epoch(buckets, number, 1)[0]} == set(range(19))


def test_fewer_strings_than_a_batch_are_one_batch():
    buckets = LengthBuckets(np.array([3, 1, 2]), 64, seed=1)
    assert sorted(buckets.rows(1)) == sorted(buckets.rows(2)) == [0, 1, 2]


@given(st.lists(st.integers(1, 9), min_size=12, max_size=12).map(np.array))
def test_batches_are_of_like_lengths(lengths):
    batches = epoch(LengthBuckets(lengths, 3, 5), 0, 4)
    expected = np.sort(lengths).reshape(4, 3)
    assert sorted(sorted(lengths[batch]) for batch in batches) == sorted(expected.tolist())


def test_batches_depend_on_seed_and_step_alone():
    lengths = np.arange(50) % 7
    steps = [3, 40, 12, 1, 40]
    buckets = LengthBuckets(lengths, 8, seed=1)
    fresh = [LengthBuckets(lengths, 8, seed=1).rows(step).tolist() for step in steps]
    assert [buckets.rows(step).tolist() for step in steps] == fresh
    assert LengthBuckets(lengths, 8, seed=2).rows(3).tolist() != fresh[0]
    assert len({tuple(LengthBuckets(lengths, 8, seed=1).rows(1 + 6 * i)) for i in range(9)}) == 9
