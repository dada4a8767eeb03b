"""What a sampler keeps from one call to the next changes nothing but the time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import makemore
import numpy as np
import pytest
import tiny_models
from makemore import OptionError, _core
from makemore.vocabulary import Vocabulary
from tiny_artifacts import FOLDER

ROWS = 60


@pytest.fixture(params=tiny_models.MODELS, ids=lambda tiny: tiny.name)
def fresh(request):
    return makemore.load(FOLDER / request.param.name, threads=2)


def one_by_one(sampler, **options):
    return [sampler.sample(1, seed=3, first_row=row, **options)[0] for row in range(ROWS)]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"top_k": 2}])
def test_names_one_by_one_are_those_of_one_call(fresh, options):
    expected = fresh.sample(ROWS, seed=3, **options)
    assert one_by_one(fresh, **options) == expected
    one_by_one(fresh, temperature=3.0)
    assert one_by_one(fresh, **options) == expected


def test_scores_are_the_same_again(fresh):
    strings = [text for text in fresh.sample(ROWS, seed=3) if text]
    together = fresh.score(strings)
    alone = [fresh.score([text])[0] for text in strings]
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal([fresh.score([text])[0] for text in strings], together)


def test_calls_one_after_another_share_what_they_remember(fresh):
    one_by_one(fresh)
    assert len(fresh._idle) == 1
    assert fresh._idle[0].memory > 0


def test_a_call_that_fails_leaves_nothing_behind():
    sparse = makemore.load(FOLDER / tiny_models.SPARSE.name, threads=2)
    expected = one_by_one(sparse)
    with pytest.raises(OptionError, match="no token is left"):
        sparse.sample(1, seed=3, exclude="".join(sparse.vocabulary.tokens))
    assert one_by_one(sparse) == expected


def test_threads_that_call_at_once_get_the_strings_of_their_rows(fresh):
    expected = fresh.sample(ROWS, seed=3)
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda row: fresh.sample(1, seed=3, first_row=row)[0], range(ROWS))
        assert list(made) == expected


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
