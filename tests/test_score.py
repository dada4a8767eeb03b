import math
from itertools import product

import makemore
import numpy as np
import onnx
import oracle
import pytest
import tiny_models
from makemore import OptionError, OptionTypeError
from makemore.artifact import METADATA_KEY
from msgspec.structs import replace
from tiny_artifacts import FOLDER, metadata, parse


def strings_of(tiny, longest=3):
    return ["".join(c) for n in range(longest + 1) for c in product(tiny.characters, repeat=n)]


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
@pytest.mark.parametrize("threads", [1, 2])
def test_scores_are_those_of_the_oracle(tiny, threads, batch_size):
    sampler = makemore.load(FOLDER / tiny.name, threads=threads)
    strings = strings_of(tiny, 4)[::-1]
    expected = [oracle.score(tiny.logits, tiny.encode(string)) for string in strings]
    scores = sampler.score(strings, batch_size=batch_size)
    assert scores.dtype == np.float64
    assert scores.tolist() == pytest.approx(expected, rel=1e-12)


def test_scores_come_in_the_order_of_the_strings_repeats_and_all(sampler, tiny):
    strings = strings_of(tiny)
    alone = {string: float(sampler.score([string])[0]) for string in strings}
    shuffled = np.random.default_rng(1).choice(strings, 300).tolist()
    assert sampler.score(shuffled).tolist() == [alone[string] for string in shuffled]


def test_the_probabilities_of_all_strings_of_a_bigram_that_is_cut_sum_to_1(bigram):
    """Those that stop, and for those of the longest length the mass that goes on."""
    longest = 6
    stopped = np.exp(bigram.score(strings_of(tiny_models.BIGRAM, longest))).sum()
    free = bigram.sample_ids(20_000, min_length=0, seed=1, max_length=longest + 1)
    cut = np.mean([s.finish_reason == "length" for s in free])
    assert stopped < 1
    assert stopped + cut == pytest.approx(1, abs=0.02)


def test_an_impossible_string_has_probability_0():
    sparse = makemore.load(FOLDER / "sparse")
    assert sparse.score(["😀a", "😀"]).tolist() == [-math.inf, pytest.approx(math.log(0.25))]


def test_strings_of_a_label_that_is_never_made_score_minus_infinity():
    table = np.full((4, 4), -np.inf, dtype=np.float32)  # stop, a, and the labels x and y
    table[0, 2] = 0
    table[1:, :2] = math.log(0.5)
    graph = """step (int64[B] token, int64[B] position) => (float[B, 4] logits) {
      logits = Gather (table, token)
    }"""
    model = parse(graph, table=table)
    artifact = replace(metadata(("a",)), labels=("x", "y"))
    onnx.helper.set_model_props(model, {METADATA_KEY: artifact.to_json()})
    sampler = makemore.load(model.SerializeToString())
    assert sampler.score(["a", ""], label="x") == pytest.approx([math.log(0.25), math.log(0.5)])
    assert sampler.score(["a", ""], label="y").tolist() == [-math.inf, -math.inf]


def test_no_strings_have_no_scores(sampler):
    assert sampler.score([]).shape == (0,)


def test_the_empty_string_is_scored_by_its_stop(bigram):
    assert bigram.score([""]) == pytest.approx(math.log(0.1))


def test_a_string_may_fill_the_block_and_not_more():
    cache = makemore.load(FOLDER / "cache")
    assert math.isfinite(cache.score(["abcabca"])[0])
    with pytest.raises(
        OptionError, match="string number 2: 'abcabcab' has 8 characters; a block of 8 holds 7"
    ):
        cache.score(["a", "abcabcab"])


def test_a_string_that_cannot_be_scored_has_the_score_minus_infinity_where_asked_for():
    cache = makemore.load(FOLDER / "cache")
    good = cache.score(["abc", "ba"]).tolist()
    scores = cache.score(["abcabcab", "abc", "é", "ba"], on_unknown="-inf").tolist()
    assert scores == [-math.inf, good[0], -math.inf, good[1]]
    assert cache.score(["é"], on_unknown="-inf").tolist() == [-math.inf]


def test_another_way_to_treat_the_unknown_is_refused(bigram):
    with pytest.raises(OptionError, match="on_unknown is 'skip'; it must be 'error' or '-inf'"):
        bigram.score(["a"], on_unknown="skip")


def test_a_character_the_model_never_saw_is_refused(bigram):
    with pytest.raises(OptionError, match=r"string number 2: character 'é' \(number 1 of 'é'\)"):
        bigram.score(["abc", "é"])


@pytest.mark.parametrize("batch_size", [0, -1, 2**70])
def test_a_batch_size_that_cannot_be_is_refused(bigram, batch_size):
    with pytest.raises(OptionError, match=f"batch_size is {batch_size}"):
        bigram.score(["abc"], batch_size=batch_size)


def test_one_string_instead_of_a_list_is_refused(bigram):
    with pytest.raises(TypeError, match="a list of strings"):
        bigram.score("abc")


@pytest.mark.parametrize(
    ("strings", "message"),
    [
        (b"abc", "score takes a list of strings, not one: b'abc'"),
        (None, "score takes a list of strings, not None"),
        (5, "score takes a list of strings, not 5"),
        ([None], "string number 1 is None; it must be a string"),
        (["a", math.nan], "string number 2 is nan; it must be a string"),
        ([["a"]], r"string number 1 is \['a'\]; it must be a string"),
    ],
)
def test_what_is_not_strings_is_refused_with_its_number(bigram, strings, message):
    with pytest.raises(OptionTypeError, match=f"^{message}$"):
        bigram.score(strings)


@pytest.mark.parametrize("batch_size", [1.5, "8"])
def test_a_batch_size_of_a_wrong_type_is_refused(bigram, batch_size):
    with pytest.raises(OptionTypeError, match=r"batch_size is .*; it must be an integer >= 1"):
        bigram.score(["abc"], batch_size=batch_size)


def test_any_iterable_of_strings_is_scored(bigram):
    expected = bigram.score(["ab", "ba"]).tolist()
    assert bigram.score(text for text in ("ab", "ba")).tolist() == expected
    assert bigram.score(np.array(["ab", "ba"])).tolist() == expected
    assert bigram.score(("ab", "ba"), batch_size=np.int64(1)).tolist() == expected
