"""What a sampler keeps from one call to the next changes nothing but the time."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import makemore
import numpy as np
import onnx
import pytest
import tiny_models
from makemore import OptionError, Sampler, _core
from makemore.artifact import METADATA_KEY, StateSpec
from makemore.vocabulary import Vocabulary
from tiny_artifacts import FOLDER, metadata, parse

ROWS = 60


@pytest.fixture(params=tiny_models.MODELS, ids=lambda tiny: tiny.name)
def fresh(request):
    return makemore.load(FOLDER / request.param.name, threads=2)


def one_by_one(sampler, **options):
    return [
        sampler.sample(1, min_length=0, seed=3, first_row=row, **options)[0] for row in range(ROWS)
    ]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"top_k": 2}])
def test_names_one_by_one_are_those_of_one_call(fresh, options):
    expected = fresh.sample(ROWS, min_length=0, seed=3, **options)
    assert one_by_one(fresh, **options) == expected
    one_by_one(fresh, temperature=3.0)
    assert one_by_one(fresh, **options) == expected


def test_scores_are_the_same_again(fresh):
    strings = [text for text in fresh.sample(ROWS, min_length=0, seed=3) if text]
    together = fresh.score(strings)
    alone = [fresh.score([text])[0] for text in strings]
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal([fresh.score([text])[0] for text in strings], together)


def cache_bytes(sampler):
    """Of each cache that an idle worker of a sampler has."""
    return sampler._pool.cache_bytes


def test_calls_one_after_another_share_a_cache(fresh):
    one_by_one(fresh)
    assert len(cache_bytes(fresh)) == 1
    assert cache_bytes(fresh)[0] > 0


def test_many_rows_of_a_table_are_not_worth_a_cache():
    sampler = makemore.load(FOLDER / "family" / "ngram", threads=1)
    sampler.sample(17, min_length=0, seed=3)
    assert cache_bytes(sampler) == []
    sampler.sample(16, min_length=0, seed=3)
    assert cache_bytes(sampler)[0] > 0


def test_the_caches_of_all_threads_together_stay_within_the_budget():
    budget = 4 << 20  # two shares
    sampler = Sampler(
        (loaded := makemore.load(FOLDER / "cache")).artifact, loaded.new_step, cache_bytes=budget
    )
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda seed: sampler.sample(300, min_length=0, seed=seed), range(200)))
    assert 0 < sum(cache_bytes(sampler)) <= budget
    assert len(cache_bytes(sampler)) <= 2
    assert made[7] == loaded.sample(300, min_length=0, seed=7)


def test_without_a_budget_nothing_is_kept():
    loaded = makemore.load(FOLDER / "bigram")
    sampler = Sampler(loaded.artifact, loaded.new_step, cache_bytes=0)
    assert one_by_one(sampler) == loaded.sample(ROWS, min_length=0, seed=3)
    assert cache_bytes(sampler) == []


@pytest.mark.parametrize("size", [-1, 2**63])
def test_a_budget_that_cannot_be_is_refused(bigram, size):
    with pytest.raises(
        OptionError, match=rf"cache_bytes is {size}; it must be an integer >= 0 and < 2\*\*63"
    ):
        Sampler(bigram.artifact, bigram.new_step, cache_bytes=size)


def test_a_cache_that_was_not_used_for_long_is_freed(fresh):
    expected = fresh.sample(ROWS, min_length=0, seed=3)
    fresh._pool = _core.WorkerPool(len(fresh.vocabulary), fresh.cache_bytes, idle_ms=1)
    with_two_caches(fresh)
    time.sleep(0.01)
    assert one_by_one(fresh) == expected
    assert len(cache_bytes(fresh)) == 1


def test_a_cache_that_was_used_lately_is_kept(fresh):
    with_two_caches(fresh)
    fresh.sample(1, min_length=0, seed=3)
    assert len(cache_bytes(fresh)) == 2


def with_two_caches(sampler):
    """A call in another, which therefore have a worker each."""
    new_step = sampler.new_step

    def after_a_call():
        sampler.new_step = new_step
        sampler.sample(1, min_length=0, seed=3)
        return new_step()

    sampler.new_step = after_a_call
    sampler.sample(1, min_length=0, seed=3)
    assert len(cache_bytes(sampler)) == 2


def test_a_cleared_cache_is_empty_and_the_strings_stay_the_same(fresh):
    expected = one_by_one(fresh)
    fresh.clear_cache()
    assert cache_bytes(fresh) == []
    assert one_by_one(fresh) == expected


def test_a_cleared_cache_needs_no_new_step(fresh):
    made = []
    new_step = fresh.new_step
    fresh.new_step = lambda: made.append(new_step()) or made[-1]
    expected = one_by_one(fresh)
    fresh.clear_cache()
    assert one_by_one(fresh) == expected
    assert len(made) == 1


@pytest.mark.parametrize(("rows", "has_cache"), [(5, False), (200, True)])
def test_a_call_that_runs_while_the_cache_is_cleared_leaves_nothing_in_it(rows, has_cache):
    loaded = makemore.load(FOLDER / "bigram", threads=2)
    expected = loaded.sample(rows, min_length=0, seed=1)
    loaded._new_pool()
    if has_cache:  # which the call has, and a new step beside
        loaded.sample(1, min_length=0, seed=1)
        assert cache_bytes(loaded)[0] > 0
    made = loaded.new_step

    def new_step():
        loaded.clear_cache()
        return made()

    loaded.new_step = new_step
    assert loaded.sample(rows, min_length=0, seed=1) == expected
    assert cache_bytes(loaded) == []
    loaded.new_step = made
    assert loaded.sample(rows, min_length=0, seed=1) == expected
    assert sum(cache_bytes(loaded)) > 0  # one worker may have done all of it


def test_a_closed_sampler_is_refused(fresh):
    expected = fresh.sample(3, min_length=0, seed=1)
    with fresh as same:
        assert same.sample(3, min_length=0, seed=1) == expected
    for call in (lambda: fresh.sample(1), lambda: fresh.sample_ids(0), lambda: fresh.score(["a"])):
        with pytest.raises(OptionError, match="this sampler is closed"):
            call()
    fresh.close()
    fresh.clear_cache()


def test_a_call_that_fails_leaves_nothing_behind():
    sparse = makemore.load(FOLDER / tiny_models.SPARSE.name, threads=2)
    expected = one_by_one(sparse)
    with pytest.raises(OptionError, match="no token is left"):
        sparse.sample(1, min_length=0, seed=3, exclude="".join(sparse.vocabulary.tokens))
    assert one_by_one(sparse) == expected


def test_threads_that_call_at_once_get_the_strings_of_their_rows(fresh):
    expected = fresh.sample(ROWS, min_length=0, seed=3)
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(
            lambda row: fresh.sample(1, min_length=0, seed=3, first_row=row)[0], range(ROWS)
        )
        assert list(made) == expected


LARGE_STATE = """step (int64[B] token, int64[B] position, float[B, 512] trace)
=> (float[B, 4] logits, float[B, 512] next_trace) {
  logits = Gather (table, token)
  one = Constant <value_float = 1.0> ()
  next_trace = Add (trace, one)
}"""

RESIDENT = """
import sys
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pathlib import Path
import makemore

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

sampler = makemore.load(sys.argv[1], threads=1)
# All common prefixes, whose memory is the model's, however many threads call.
sampler.common_prefixes.end_call(60)
sampler.common_prefixes._thread.join()
for threads in (1, 40):
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda seed: len(sampler.sample(4000, seed=seed)), range(4 * threads)))
    print(resident_mib())
"""


@pytest.mark.resident_memory
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells the memory in use")
def test_forty_threads_leave_little_more_memory_in_use_than_one(tmp_path):
    table = np.array([[-4, 1, 1, 1]] * 4, dtype=np.float32)
    model = parse(LARGE_STATE, table=table)
    states = (StateSpec(name="trace", dtype="float32", shape=(512,), time_axis=None),)
    text = metadata(tuple("abc"), max_length=12, states=states).to_json()
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, tmp_path / "model.onnx")
    ran = subprocess.run(
        [sys.executable, "-c", RESIDENT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    one, forty = map(float, ran.stdout.split())
    assert forty - one < 64  # with a cache for each thread it is almost 3,000


@pytest.mark.parametrize("tokens", ["abc", "aé", "aЖ", "a😀", "漢字"])
def test_texts_are_the_code_points_of_each_row(tokens):
    vocabulary = Vocabulary(tokens)
    ids = np.array([1, 2, 1, 2, 2])
    offsets = np.array([0, 0, 3, 5])
    a, b = tokens[:2]
    assert vocabulary.decode(ids, offsets) == ["", a + b + a, b + b]


@pytest.mark.parametrize("token", [-1, 3])
def test_a_token_that_is_not_there_is_refused(token):
    with pytest.raises(IndexError):
        _core.texts(np.array([token]), np.array([0, 1]), np.array([0, 97, 98], dtype=np.uint32))
