"""Each string once: as drawing without replacement, and until there are no more."""

import pickle
import re
from itertools import permutations

import numpy as np
import pytest
from exact import all_strings, given, p_value
from makemore import ExhaustedError
from makemore.search import distinct
from python_step import sampler_of
from tiny_artifacts import load_tiny
from tiny_models import BIGRAM, CACHE, HISTORY

pytest.importorskip("outlines_core", reason="matching needs outlines-core")

SIGNIFICANCE = 0.001
MODELS = [BIGRAM, HISTORY, CACHE]


@pytest.fixture(params=MODELS, ids=lambda tiny: tiny.name)
def tiny(request):
    return request.param


@pytest.fixture
def trie_at_once(monkeypatch):
    """Repeats dominate from the first row on."""
    monkeypatch.setattr(distinct, "BLOCK", 1)
    monkeypatch.setattr(distinct, "WINDOW_STRINGS", 0)
    monkeypatch.setattr(distinct, "DOMINATE", 0.0)


def pairs_without_replacement(exact):
    return {
        (one, two): exact[one] * exact[two] / (1 - exact[one])
        for one, two in permutations(exact, 2)
    }


def check_pairs(tiny, calls):
    exact = given(all_strings(tiny, 2), lambda text: text)
    sampler = load_tiny(tiny.name)
    made = [tuple(sampler.sample(2, seed=seed, unique=True, max_length=2)) for seed in range(calls)]
    assert p_value(made, pairs_without_replacement(exact)) > SIGNIFICANCE


def test_repeats_left_out_are_drawing_without_replacement(tiny):
    check_pairs(tiny, 5000)


@pytest.mark.usefixtures("trie_at_once")
def test_a_trie_is_drawing_without_replacement(tiny):
    check_pairs(tiny, 3000)


@pytest.mark.parametrize("options", [{}, {"matching": "a.*"}, {"temperature": 0.5, "suffix": "b"}])
def test_a_model_with_few_strings_gives_each_once_and_then_says_that_there_are_no_more(
    tiny, strategy, options
):
    sampler = load_tiny(tiny.name, strategy)
    strings = all_strings(tiny, 3)
    passing = {
        text
        for text in strings
        if text
        and (not options.get("matching") or text[0] == "a")
        and text.endswith(options.get("suffix", ""))
    }
    assert {*sampler.sample(len(passing), seed=1, unique=True, max_length=3, **options)} == passing
    with pytest.raises(ExhaustedError) as error:
        sampler.sample(len(passing) + 1, seed=1, unique=True, max_length=3, **options)
    found = error.value.found
    assert len(found) == len({*found}) == len(passing)
    assert {*found} == passing
    assert error.value.mass == pytest.approx(1, abs=1e-9)
    assert f"there are no more strings: {len(passing):,} were found in" in str(error.value)
    assert pickle.loads(pickle.dumps(error.value)).found == found


def test_the_order_depends_on_the_seed_alone(tiny):
    options = {"unique": True, "max_length": 4, "seed": 3}
    n = len(all_strings(tiny, 4)) - 1
    expected = load_tiny(tiny.name).sample_ids(n, **options)
    assert len({each.text for each in expected}) == n
    for sampler in (load_tiny(tiny.name, "tree", 2), sampler_of(tiny)):
        made = sampler.sample_ids(n, batch_size=5, **options)
        assert [(e.text, e.row) for e in made] == [(e.text, e.row) for e in expected]
    streamed = load_tiny(tiny.name).stream(**options)
    assert [next(streamed) for _ in range(n)] == [each.text for each in expected]
    with pytest.raises(ExhaustedError):
        next(streamed)
    assert [each.row for each in expected] == sorted(each.row for each in expected)


def test_what_a_trie_finds_has_its_probability_and_its_end(tiny):
    strings = all_strings(tiny, 4)
    made = load_tiny(tiny.name).sample_ids(len(strings) - 1, unique=True, max_length=4, seed=3)
    assert [each.log_prob for each in made] == pytest.approx(
        [np.log(strings[each.text]) for each in made], abs=1e-5
    )
    assert all(len(each.text) == 4 for each in made if each.finish_reason == "length")


def test_strings_not_in_a_collection_are_once_too(tiny):
    strings = {text for text in all_strings(tiny, 3) if text}
    some = {text for text in strings if "a" in text}
    sampler = load_tiny(tiny.name)
    with pytest.raises(ExhaustedError) as error:
        sampler.sample(len(strings), seed=1, unique=True, max_length=3, not_in=some)
    assert sorted(error.value.found) == sorted(strings - some)


def test_one_string_at_temperature_0_is_there_once(bigram):
    with pytest.raises(ExhaustedError) as error:
        bigram.sample(2, temperature=0, unique=True)
    assert len(error.value.found) == 1


def test_a_prefix_as_long_as_a_string_may_be_is_there_once(tiny):
    with pytest.raises(ExhaustedError, match="1 were found") as error:
        load_tiny(tiny.name).sample(6, unique=True, prefix="abc", max_length=3)
    assert error.value.found == ["abc"]


def test_what_a_search_says_that_is_given_up_in_a_trie(bigram):
    with pytest.raises(ExhaustedError) as error:
        bigram.sample(1090, seed=1, unique=True, max_length=6, max_rows=10_300)
    found = len(error.value.found)
    assert f"{found:,} strings were found in 10,300 rows, each once" in str(error.value)
    asked = re.search(r"1,090 strings take about ([\d,]+): max_rows=(\d+)", str(error.value))
    assert int(asked[2]) > 10_300


def test_max_rows_ends_a_search_for_distinct_strings(bigram):
    with pytest.raises(ExhaustedError, match="each once") as error:
        bigram.sample(10**6, seed=1, unique=True, max_rows=500)
    plain = bigram.sample_rows(0, 500, seed=1)
    assert error.value.found == [*dict.fromkeys(each.text for each in plain)]
    assert error.value.rows == 500
