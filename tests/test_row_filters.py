"""Rows that pass: the strings that are asked for, with the probabilities that they have."""

import re
from itertools import chain

import makemore
import numpy as np
import pytest
from exact import (
    all_strings,
    given,
    next_probabilities,
    p_value,
    p_value_of_some,
    strings_of,
)
from makemore import ExhaustedError, OptionError
from makemore.fingerprints import Fingerprints
from python_step import sampler_of
from tiny_artifacts import load_tiny
from tiny_models import BIGRAM, CACHE, HISTORY

pytest.importorskip("outlines_core", reason="matching needs outlines-core")

SIGNIFICANCE = 0.001
N = 20_000
MODELS = [BIGRAM, HISTORY, CACHE]
ASKED = [
    ({"matching": "[ab]+c?", "max_length": 5}, lambda text: re.fullmatch("[ab]+c?", text)),
    ({"wildcard": "?*b?", "max_length": 6}, lambda text: len(text) > 2 and text[-2] == "b"),
    ({"suffix": "ca", "max_length": 6}, lambda text: text.endswith("ca")),
    ({"min_length": 4, "max_length": 6}, lambda text: len(text) >= 4),
    ({"not_in": {"a", "b", "ab"}, "max_length": 5}, lambda text: text not in {"", "a", "b", "ab"}),
    ({"novel": True, "max_length": 5}, lambda text: text not in {"", "a", "aa", "ba"}),
    (
        {"matching": "[^b]*", "suffix": "a", "prefix": "a", "min_length": 2, "max_length": 6},
        lambda text: re.fullmatch("a[^b]*a", text),
    ),
]


def named(asked):
    """What an option of a test is called: the same in each process, as a function is not."""
    return "passes" if callable(asked) else "_".join(sorted(asked))


@pytest.fixture(params=MODELS, ids=lambda tiny: tiny.name)
def tiny(request):
    return request.param


def known(sampler):
    """The same sampler, of a model that was trained on some lines."""
    sampler.fingerprints = lambda: Fingerprints.of(["a", "aa", "ba"])
    return sampler


def prefixed(strings, prefix):
    return {text: p for text, p in strings.items() if text.startswith(prefix)}


@pytest.mark.parametrize(("options", "passes"), ASKED, ids=named)
def test_what_passes_has_the_probabilities_of_the_model_given_that_it_passes(
    tiny, strategy, options, passes
):
    strings = prefixed(all_strings(tiny, options["max_length"]), options.get("prefix", ""))
    exact = given(strings, lambda text: text and passes(text))
    made = known(load_tiny(tiny.name, strategy)).sample(N, seed=11, **options)
    assert p_value(made, exact) > SIGNIFICANCE


def test_masking_what_cannot_match_is_another_distribution():
    """What other tools do: leave out the tokens from which no match is reached, and draw on."""
    sampler = sampler_of(BIGRAM)
    exact = given(all_strings(BIGRAM, 5), lambda text: re.fullmatch("(ab|ba)*c", text))

    def mask(ids, logits):
        before = BIGRAM.decode(ids)
        open_pair = before[len(before) // 2 * 2 :]
        allowed = {"": "abc", "a": "b", "b": "a", "c": ""}[open_pair if "c" not in before else "c"]
        kept = [0] if "c" in before else [" abc".index(character) for character in allowed]
        return np.where(np.isin(np.arange(4), kept), logits, -np.inf)

    masked = sampler.sample(2000, seed=3, max_length=5, adjust=mask)
    assert {*masked} <= {*exact} | {"abab", "baba", "abba", "baab", "ababa"} | {*masked}
    assert p_value([text for text in masked if text in exact], exact) < SIGNIFICANCE


@pytest.mark.parametrize(("options", "passes"), ASKED, ids=named)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_the_rows_that_pass_are_those_of_the_seed_whatever_the_batch_and_the_threads(
    strategy, options, passes, threads, batch_size
):
    sampler = known(load_tiny("history", strategy, threads))
    plain = {"max_length": options["max_length"], "prefix": options.get("prefix", "")}
    rows = sampler.sample_ids(600, seed=5, min_length=0, **plain)
    expected = [each for each in rows if each.text and passes(each.text)][:30]
    made = sampler.sample_ids(len(expected), seed=5, batch_size=batch_size, **options)
    assert [(each.row, each.text) for each in made] == [(e.row, e.text) for e in expected]
    assert made == expected


def test_rows_divided_among_calls_add_up_and_a_search_goes_on_after_its_last_row(sampler):
    options = {"seed": 9, "wildcard": "*a", "max_length": 6}
    whole = sampler.sample_rows(100, 500, **options)
    parts = [sampler.sample_rows(100 + first, 125, **options) for first in range(0, 500, 125)]
    assert [*chain(*parts)] == whole
    first = sampler.sample_ids(20, first_row=100, **options)
    assert first == whole[:20]
    later = sampler.sample_ids(20, first_row=first[-1].row + 1, **options)
    assert later == whole[20:40]


def test_the_empty_string_passes_where_it_is_asked_for(bigram):
    rows = bigram.sample(300, seed=1, min_length=0)
    assert "" in rows
    assert bigram.sample(200, seed=1) == [text for text in rows if text][:200]


def test_what_a_step_in_python_makes_is_filtered_the_same(tiny):
    options = {"seed": 4, "matching": "[ab].*", "max_length": 6}
    artifact = load_tiny(tiny.name).sample(100, **options)
    assert sampler_of(tiny).sample(100, **options) == artifact


def test_where_no_row_is_left_by_a_pattern_not_in_has_nothing_to_look_at(bigram):
    assert bigram.sample_rows(0, 3, seed=1, wildcard="ccccc", not_in={"a"}) == []


def test_novel_needs_fingerprints(bigram):
    message = "novel is True; the artifact has no fingerprints of its training lines"
    with pytest.raises(OptionError, match=message):
        bigram.sample(1, novel=True)


def test_a_search_is_given_up_after_max_rows_with_what_was_found(bigram):
    options = {"seed": 1, "matching": "cacac"}
    with pytest.raises(ExhaustedError) as error:
        bigram.sample(500, max_rows=100_000, **options)
    assert error.value.rows == 100_000
    assert error.value.found == ["cacac"] * len(error.value.found)
    assert error.value.mass is None
    assert re.search(
        r"of the rows passes, so that 500 strings take about .*: max_rows=", str(error.value)
    )
    with pytest.raises(ExhaustedError, match="0 strings were found in 10 rows; fewer than 1 in so"):
        bigram.sample(1, max_rows=10, **options)
    expected = len(bigram.sample_rows(0, 100_000, **options))
    assert len(error.value.found) == expected


def test_a_model_that_makes_nothing_but_empty_strings_is_given_up_soon(bigram):
    def stop(ids, logits):
        return np.where(np.arange(4) == 0, 0, -np.inf)

    with pytest.raises(ExhaustedError, match="0 strings were found in 65,536 rows"):
        bigram.sample(1, adjust=stop)
    assert bigram.sample(3, adjust=stop, min_length=0) == ["", "", ""]


def test_a_search_for_samples_holds_samples(bigram):
    with pytest.raises(ExhaustedError) as error:
        bigram.sample_ids(10**6, seed=1, max_rows=50)
    assert error.value.found == bigram.sample_rows(0, 50, seed=1)


def test_rows_end_at_two_to_the_64(bigram):
    last = 2**64 - 3
    assert [each.row for each in bigram.sample_rows(last, 3, seed=1, min_length=0)][-1] == 2**64 - 1
    with pytest.raises(OptionError, match=rf"first_row is {last}; with 4 rows it passes 2\*\*64"):
        bigram.sample_rows(last, 4, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matching": "d+"}, "matching is 'd\\+'; it needs 'd', which this model does not know"),
        ({"matching": "(a"}, r"matching is '\(a'"),
        ({"wildcard": "a", "prefix": "b"}, "no string of this model's characters fits"),
        ({"matching": "a{9}", "max_length": 8}, "the shortest string that fits has 9 characters"),
        ({"not_in": 3}, "not_in is 3; it must be a collection of strings, or None"),
        ({"unique": 1}, "unique is 1; it must be True or False"),
        ({"min_length": -1}, "min_length is -1; it must be an integer >= 0"),
        ({"max_rows": 0}, "max_rows is 0; it must be an integer >= 1"),
        ({"penalty": 0.5}, "penalty is 0.5; it must be a finite number >= 1"),
        ({"adjust": 3}, "adjust is 3; it must be a callable, or None"),
    ],
)
@pytest.mark.parametrize("method", ["sample", "sample_ids", "stream", "stream_ids", "astream"])
def test_what_cannot_be_is_refused_before_anything_is_sampled(bigram, method, options, message):
    with pytest.raises(OptionError, match=message):
        getattr(bigram, method)(1, **options)


def test_adjust_is_called_with_the_ids_so_far_and_the_logits_of_the_model(tiny):
    called = {}

    def double(ids, logits):
        called[tuple(ids.tolist())] = logits.copy()
        return 2 * logits

    sampler = load_tiny(tiny.name)
    made = sampler.sample(500, seed=2, max_length=5, adjust=double)
    assert made == sampler.sample(500, seed=2, max_length=5, temperature=0.5)
    for ids, logits in called.items():
        weights = np.exp(logits - logits.max())
        assert weights / weights.sum() == pytest.approx(next_probabilities(tiny, ids), abs=1e-6)


@pytest.mark.parametrize(
    ("adjust", "message"),
    [
        (lambda ids, logits: logits[:2], r"adjust returned logits of shape \(2,\), not \(4,\)"),
        (lambda ids, logits: None, "adjust returned"),
        (lambda ids, logits: logits * np.nan, "adjust returned NaN"),
        (lambda ids, logits: logits + np.inf, r"adjust returned (\+inf|NaN)"),
        (lambda ids, logits: np.full(4, -np.inf), "adjust left no token to choose"),
    ],
)
def test_an_adjust_that_returns_no_logits_is_refused(bigram, adjust, message):
    with pytest.raises(OptionError, match=message):
        bigram.sample(1, seed=1, adjust=adjust)


def test_an_error_of_adjust_comes_back(bigram):
    with pytest.raises(ZeroDivisionError):
        bigram.sample(1, adjust=lambda ids, logits: 1 // 0)


def test_a_penalty_makes_repeats_rarer_and_reports_the_models_own_probability(bigram):
    def repeats(made):
        return sum(len(each.text) - len({*each.text}) for each in made)

    plain, penalised = (bigram.sample_ids(2000, seed=1, penalty=p) for p in (1, 4))
    assert repeats(penalised) < repeats(plain) / 2
    texts = [each.text for each in penalised if each.finish_reason == "stop"]
    scores = [each.log_prob for each in penalised if each.finish_reason == "stop"]
    assert bigram.score(texts) == pytest.approx(scores)


def test_the_public_names_are_exported():
    for name in ("ExhaustedError", "MostLikely", "NextToken", "Ranks", "SampleStream"):
        assert name in makemore.__all__


@pytest.mark.parametrize(
    "kind", ["schema-1/transformer", "schema-1/bigram", "schema-2/transformer"]
)
def test_strings_of_exported_models_that_pass_have_their_probabilities(kind, strategy):
    sampler = load_tiny(kind, strategy)
    likely = {text: p for text, p in strings_of(sampler, 4).items() if text}
    options = {"max_length": 4, "wildcard": "?a*"}
    some = {text: p for text, p in likely.items() if text[1:2] == "a"}
    share = len(sampler.sample_rows(0, N, seed=1, **options)) / N
    made = sampler.sample(N // 4, seed=1, **options)
    counted = {text: p / share for text, p in some.items()}
    assert p_value_of_some(made, counted) > SIGNIFICANCE


def test_plans_that_are_kept_have_a_limit_of_bytes(bigram, monkeypatch):
    plans = bigram._plans
    bigram.sample(0, min_length=100, max_length=1000)
    (one,) = (plan.bytes for plan in plans._plans.values())
    monkeypatch.setattr("makemore.search.plan._MAX_BYTES", 3 * one)
    for length in range(100, 110):
        bigram.sample(0, min_length=length, max_length=1000)
        assert sum(plan.bytes for plan in plans._plans.values()) <= 3 * one
    bigram.sample(0, min_length=900, max_length=1000)
    (last,) = plans._plans.values()
    assert last.bytes > 3 * one
