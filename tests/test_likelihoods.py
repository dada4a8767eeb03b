"""The likeliest strings, what may follow, completions, ranks, and numbers of each token."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from exact import all_strings, next_probabilities, p_value
from makemore import NextToken, OptionError, OptionTypeError, Sampler
from msgspec import structs
from python_step import sampler_of
from tiny_artifacts import load_tiny
from tiny_models import BIGRAM, CACHE, HISTORY

MODELS = [BIGRAM, HISTORY, CACHE]


@pytest.fixture(params=MODELS, ids=lambda tiny: tiny.name)
def tiny(request):
    return request.param


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("k", [1, 10, 100, 10**6])
def test_the_most_likely_strings_are_those_of_all(tiny, k, temperature):
    exact = all_strings(tiny, 5, temperature=temperature)
    del exact[""]
    expected = sorted(exact.values(), reverse=True)[:k]
    for sampler in (load_tiny(tiny.name), sampler_of(tiny)):
        found = sampler.most_likely(k, max_length=5, temperature=temperature)
        assert found.probabilities == pytest.approx(expected, rel=1e-5)
        assert [exact[text] for text in found.strings] == pytest.approx(expected, rel=1e-5)
        assert found.mass == pytest.approx(sum(expected), rel=1e-5)
        assert len({*found.strings}) == len(found.strings)


def test_the_most_likely_strings_that_pass(tiny):
    exact = all_strings(tiny, 5)
    passing = {t: p for t, p in exact.items() if t[:1] == "a" and t[-1:] == "b" and t != "ab"}
    expected = sorted(passing.values(), reverse=True)[:7]
    found = load_tiny(tiny.name).most_likely(7, prefix="a", suffix="b", not_in={"ab"}, max_length=5)
    # Probabilities are those after the prefix, which is given.
    first = next_probabilities(tiny, ())[1]
    assert found.probabilities * first == pytest.approx(expected, rel=1e-5)
    assert [passing[text] for text in found.strings] == pytest.approx(expected, rel=1e-5)
    assert load_tiny(tiny.name).most_likely(0) == ([], pytest.approx([]), 0.0)


def test_a_string_that_can_be_cut_in_several_ways_is_there_once():
    tokens = ("a", "b", "ab")
    probabilities = {}
    cuts = all_strings(SimpleNamespace(logits=BIGRAM.logits, decode=tuple), 4)
    for ids, probability in cuts.items():
        text = "".join(tokens[i - 1] for i in ids)
        probabilities[text] = max(probability, probabilities.get(text, 0.0))
    assert len(probabilities) < len(cuts)
    del probabilities[""]
    sampler = sampler_of(BIGRAM)
    sampler = Sampler(
        structs.replace(sampler.artifact, level="token", tokens=tokens),
        sampler.new_step,
    )
    for k in (3, 1000):
        found = sampler.most_likely(k, max_length=4)
        expected = sorted(probabilities.values(), reverse=True)[:k]
        assert found.probabilities == pytest.approx(expected, rel=1e-5)
        assert [probabilities[text] for text in found.strings] == pytest.approx(expected, rel=1e-5)
        assert len({*found.strings}) == len(found.strings)


def test_a_prefix_as_long_as_a_string_may_be_is_the_only_one(tiny):
    sampler = load_tiny(tiny.name)
    for options in ({}, {"min_length": 0}, {"matching": "a.c"}, {"not_in": {"ab"}}):
        found = sampler.most_likely(3, prefix="abc", max_length=3, **options)
        assert found == (["abc"], pytest.approx([1.0]), 1.0)
    assert sampler.most_likely(3, prefix="abc", max_length=3, not_in={"abc"}).strings == []
    assert sampler.most_likely(0, prefix="abc", max_length=3).strings == []


def test_more_strings_than_can_be_kept_are_refused(bigram, monkeypatch):
    monkeypatch.setattr("makemore.search.most_likely.MAX_PREFIXES", 100)
    message = "k is 10000; to find so many strings more than 100 prefixes would have to be kept"
    with pytest.raises(OptionError, match=message):
        bigram.most_likely(10_000)


def test_what_may_follow_a_prefix(tiny):
    found = load_tiny(tiny.name).next_tokens("ab")
    expected = next_probabilities(tiny, tiny.encode("ab"))
    assert [each.probability for each in found] == pytest.approx(sorted(expected, reverse=True))
    for each in found:
        assert isinstance(each, NextToken)
        assert each.probability == pytest.approx(expected[each.id])
        assert each.text == ("" if each.id == 0 else tiny.characters[each.id - 1])
    only = load_tiny(tiny.name).next_tokens("ab", exclude="ab", temperature=0.5)
    assert {each.text for each in only} == {"", "c"}


def test_completions_begin_with_their_prefixes_and_follow_the_model(strategy):
    sampler = load_tiny("history", strategy)
    prefixes = ["a", "", "cb", "a"]
    made = sampler.complete(prefixes, 5000, seed=3, max_length=4)
    for prefix, strings in zip(prefixes, made, strict=True):
        exact = {t: p for t, p in all_strings(HISTORY, 4).items() if t.startswith(prefix)}
        total = sum(exact.values())
        assert p_value(strings, {t: p / total for t, p in exact.items()}) > 0.001
    assert made[0] != made[3]
    again = sampler.complete(["cb"], 5000, seed=3, first_row=2 * 5000, max_length=4)
    assert again == [made[2]]


def test_completions_are_of_rows_that_there_are(bigram):
    first = 2**64 - 2
    assert len(bigram.complete(["a"], 2, seed=1, first_row=first)[0]) == 2
    with pytest.raises(OptionError, match=f"first_row is {first}; with 3 rows it passes 2"):
        bigram.complete(["a"], 3, seed=1, first_row=first)


def test_no_completions_are_empty_lists(bigram):
    assert bigram.complete([], 3) == []
    assert bigram.complete(["a", "b"], 0) == [[], []]


@pytest.mark.parametrize("prefixes", ["ab", 3])
def test_prefixes_are_a_collection(bigram, prefixes):
    with pytest.raises(OptionError, match="it must be a collection of strings"):
        bigram.complete(prefixes)


def test_a_prefix_that_is_no_string_is_named(bigram):
    with pytest.raises(OptionTypeError, match="prefix number 2 is None; it must be a string"):
        bigram.complete(["a", None])


def test_numbers_of_each_token_add_up_to_the_score(tiny):
    sampler = load_tiny(tiny.name)
    strings = ["", "a", "abca"[:5], "cc", "a"]
    numbers = sampler.score_tokens(strings)
    assert [len(each) for each in numbers] == [len(text) + 1 for text in strings]
    assert [each.sum() for each in numbers] == pytest.approx(sampler.score(strings))
    for text, of_string in zip(strings, numbers, strict=True):
        ids = tiny.encode(text)
        for i, token in enumerate([*ids, 0]):
            expected = math.log(next_probabilities(tiny, ids[:i])[token])
            assert of_string[i] == pytest.approx(expected, abs=1e-5)


def test_numbers_of_what_cannot_be_scored(bigram):
    known, unknown = bigram.score_tokens(["a", "d"], on_unknown="-inf")
    assert len(known) == 2
    assert unknown.tolist() == [-np.inf]
    with pytest.raises(OptionError, match="string number 2: character 'd'"):
        bigram.score_tokens(["a", "d"])
    assert bigram.score_tokens([]) == []


def test_ranks_of_words_leave_out_what_is_never_made():
    sampler = load_tiny("schema-2/words")
    likely = sampler.most_likely(40, min_length=0)
    scores = sampler.score(likely.strings)
    found = sampler.rank(likely.strings)
    for score, rank, error in zip(scores[:10], found.rank, found.error, strict=False):
        # Others than these 40 may be as likely under the model itself, which knows unknown words.
        assert rank >= (scores > score + 1e-6).sum() - 5 * error - 1


def test_perplexity_is_of_the_mean_over_all_tokens(bigram):
    scores = bigram.score(["abc", "b"])
    assert bigram.perplexity(["abc", "b"]) == pytest.approx(math.exp(-scores.sum() / 6))
    with pytest.raises(OptionError, match="perplexity needs at least 1 string; there are 0"):
        bigram.perplexity([])


def test_ranks_are_those_of_all_strings_within_their_errors(tiny):
    sampler = load_tiny(tiny.name)
    longest = min(tiny.max_length, 8)
    exact = {text: p for text, p in all_strings(tiny, longest).items() if 0 < len(text) < longest}
    texts = sorted(exact, key=exact.get, reverse=True)[:60:7]
    found = sampler.rank(texts)
    for text, rank, error in zip(texts, found.rank, found.error, strict=True):
        truth = sum(p > exact[text] * (1 + 1e-6) for p in exact.values())
        assert abs(rank - truth) <= 5 * error + 1e-9
    assert sampler.rank(["d"], on_unknown="-inf").rank.tolist() == [np.inf]
    assert sampler.rank(texts).rank.tolist() == found.rank.tolist()  # of one sample, kept
