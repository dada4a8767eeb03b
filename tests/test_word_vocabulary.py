"""The word level: how lines are cut, and that what is unknown is scored and never made."""

import json
import math
from itertools import chain

import makemore
import numpy as np
import onnx
import oracle
import pytest
import tiny_artifacts
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from makemore import OptionError
from makemore.artifact import METADATA_KEY
from makemore.commands.sample import sample
from makemore.commands.score import score
from makemore.word_vocabulary import WordVocabulary, words
from makemore_export.commands.inspect import main as inspect
from test_vocabulary import TEXT, round_trip

TOKENS = (" the", " cat", ",", "cat", " sat")
UNKNOWN = 6
LOGITS = (np.arange(49).reshape(7, 7) * 5 % 8 / 4).astype(np.float32)
LOGITS[:, UNKNOWN] = 2.5  # the likeliest of all, everywhere


@pytest.fixture
def folder(tmp_path):
    """An artifact: a bigram over words."""
    graph = tiny_artifacts.TABLE.format(vocab_size=len(LOGITS))
    model = tiny_artifacts.parse(graph, table=LOGITS)
    artifact = tiny_artifacts.metadata(TOKENS, level="word", block_size=9, max_length=8)
    onnx.helper.set_model_props(model, {METADATA_KEY: artifact.to_json()})
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path


@pytest.fixture
def sampler(folder):
    return makemore.load(folder, threads=1)


def logits(ids):
    return LOGITS[[0, *ids][-1]]


def run(command, *arguments, stdin=None, code=0):
    result = CliRunner().invoke(command, [str(a) for a in arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("the cat", [" the", " cat"]),
        (" the \t\u3000cat\n", [" the", " cat"]),
        ("Don't stop, 'tis 3.14!", [" Don't", " stop", ",", " '", "tis", " 3", ".", "14", "!"]),
        ("rock'n'roll’s", [" rock'n'roll’s"]),
        ('"No," he said', [' "', "No", ",", '"', " he", " said"]),
        ("snake_case (x)", [" snake_case", " (", "x", ")"]),
        ("नमस्ते दुनिया", [" नमस्ते", " दुनिया"]),
        ("مَرْحَبًا، بالعالم", [" مَرْحَبًا", "،", " بالعالم"]),
        ("می‌خواهم", [" می‌خواهم"]),
        ("e\u0301té", [" e\u0301té"]),
        ("你好,世界", [" 你好", ",", "世界"]),
        ("hi👩‍👩‍👧‍👦👍🏽 ❤️", [" hi", "👩‍👩‍👧‍👦", "👍🏽", " ❤️"]),
        ("\u0301", [" \u0301"]),
    ],
)
def test_a_line_is_cut_into_words_and_marks_each_with_the_space_before_it(line, expected):
    assert words(line) == expected


@given(st.lists(TEXT, min_size=1))
def test_any_line_round_trips_with_its_white_space_run_together(lines):
    vocabulary = WordVocabulary.of(lines, size=1000)
    assert round_trip(vocabulary, lines) == [" ".join(line.split()) for line in lines]


def test_the_most_frequent_words_are_known_and_all_others_are_one_token():
    vocabulary = WordVocabulary.of(["b a c", "c, b", "c d"], size=3)
    assert vocabulary.tokens == (" c", " b", " a")  # " a", " d" and "," are equally frequent
    assert (vocabulary.unknown, len(vocabulary)) == (4, 5)
    assert vocabulary.encode("a, d c") == [3, 4, 4, 1]
    assert vocabulary.encode("") == []
    assert round_trip(vocabulary, ["c d"]) == ["c \ufffd"]


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.7}, {"min_p": 0.3}, {"temperature": 0}],
)
def test_samples_are_those_of_the_oracle_with_unknown_left_out(sampler, options):
    made = sampler.sample_ids(200, min_length=0, seed=1, **options)
    for row, found in enumerate(made):
        expected = oracle.sample(logits, seed=1, row=row, max_length=8, mask=[UNKNOWN], **options)
        assert tuple(found.ids) == expected.ids
        assert found.log_prob == pytest.approx(expected.log_prob)
    assert UNKNOWN not in chain(*(found.ids for found in made))
    assert all("\ufffd" not in found.text for found in made)


def test_unknown_words_are_scored_with_the_probability_of_unknown(sampler):
    lines = ["the dog sat", "cat,cat", "", "dog dog"]
    ids = [[1, UNKNOWN, 5], [2, 3, 4], [], [UNKNOWN, UNKNOWN]]
    assert sampler.score(lines).tolist() == pytest.approx([oracle.score(logits, i) for i in ids])


def test_a_prefix_is_whole_words_that_the_model_knows(sampler):
    assert all(
        text.startswith("the cat")
        for text in sampler.sample(20, min_length=0, seed=1, prefix="the cat")
    )
    assert sampler.sample(20, min_length=0, seed=1, prefix="  the   cat ") == sampler.sample(
        20, seed=1, prefix="the cat"
    )
    message = r"word 'ca' \(number 2 of 'the ca'\) is not among the 5 words this model knows"
    with pytest.raises(OptionError, match=message):
        sampler.sample(1, min_length=0, prefix="the ca")


def test_a_word_is_excluded_with_its_space_and_without(sampler):
    free = {
        *chain(*(found.ids.tolist() for found in sampler.sample_ids(200, min_length=0, seed=1)))
    }
    made = sampler.sample_ids(200, min_length=0, seed=1, exclude="cat ,")
    assert free == {1, 2, 3, 4, 5}
    assert {*chain(*(found.ids.tolist() for found in made))} == {1, 5}
    with pytest.raises(OptionError, match=r"word 'dog' \(number 2 of 'cat dog'\) is not among"):
        sampler.sample(1, min_length=0, exclude="cat dog")


def test_lengths_count_words(sampler):
    assert (
        max(len(found.ids) for found in sampler.sample_ids(200, min_length=0, seed=1, max_length=3))
        == 3
    )
    assert math.isfinite(sampler.score(["cat " * 8])[0])
    with pytest.raises(OptionError, match="has 9 words; a block of 9 holds 8"):
        sampler.score(["cat " * 9])
    with pytest.raises(OptionError, match="max_length is 9 words; a block of 9 holds 8"):
        sampler.sample(1, min_length=0, max_length=9)
    with pytest.raises(OptionError, match="prefix 'the cat' has 2 words; max_length is 1"):
        sampler.sample(1, min_length=0, prefix="the cat", max_length=1)


def test_the_commands_speak_of_words(folder, sampler):
    lines = sampler.sample(20, min_length=0, seed=1, prefix="the", exclude="cat")
    out, _ = run(sample, folder, "--seed", 1, "--prefix", "the", "--exclude", "cat")
    assert out.splitlines() == lines
    total = -float(sampler.score(["the dog sat"])[0])
    _, err = run(score, folder, stdin="the dog sat\n")
    assert err == f"1 string, 4 words with stops: {total / 4:.4f} nats per word\n"
    report = json.loads(run(score, folder, "--json", stdin="the dog sat\n")[0])
    assert (report["words"], report["nll_per_word"]) == (4, pytest.approx(total / 4))
    report = json.loads(run(inspect, folder, "--json")[0])
    assert (report["words"], report["most frequent"]) == (5, ["the", "cat", ",", "cat", "sat"])
    assert report["nats per word"] == {}
