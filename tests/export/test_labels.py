"""Strings with labels: made and scored by label, exactly as the model has them."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise, product
from types import SimpleNamespace

import makemore
import numpy as np
import pytest
import torch
from commands import run
from makemore import OptionError
from makemore.commands.sample import sample as mm_sample
from makemore.commands.score import score as mm_score
from makemore.vocabulary import Vocabulary
from makemore.word_vocabulary import WordVocabulary
from makemore_export.commands.export import main as mm_export
from makemore_export.evaluation.label_losses import label_losses
from makemore_export.models import new_model
from scipy import stats

CONSONANTS, VOWELS = "bdk", "aiou"
LINES = [
    *(f"two\t{''.join(s)}" for s in product(CONSONANTS, VOWELS)),
    *(f"four\t{''.join(s)}" for s in product(CONSONANTS, VOWELS, CONSONANTS, VOWELS)),
    "two\tda",
]
SIGNIFICANCE = 0.001
MODELS = {
    "ngram": ["--order", "3"],
    "gru": ["--n-embd", "8", "--n-hidden", "16", "--max-steps", "60"],
    "transformer": ["--n-embd", "8", "--n-layer", "1", "--n-head", "2", "--max-steps", "60"],
    "blend": ["--part", "ngram:order=2", "--part", "gru:n_embd=8,n_hidden=8,max_steps=30"],
}


@pytest.fixture(scope="module", params=MODELS)
def made(request, tmp_path_factory):
    """The report of an export, and the artifact's folder."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "lines.txt").write_text("\n".join(LINES) + "\n")
    words = ["--labels", "--model", request.param, *MODELS[request.param], "--keep-duplicates"]
    out, _ = run(mm_export, folder / "lines.txt", "-o", folder / "out", *words, "--json")
    return json.loads(out)["report"], folder / "out"


@pytest.fixture
def sampler(made):
    return makemore.load(made[1])


def all_strings(sampler, label, max_length):
    """{text: probability} of every string given a label, of those that stop in time."""
    found, level = {}, [""]
    for _ in range(max_length + 1):
        found |= dict(zip(level, np.exp(sampler.score(level, label=label)), strict=True))
        level = [text + c for text in level for c in sampler.artifact.tokens]
    return found


def test_labels_are_no_part_of_strings(sampler, made):
    artifact = sampler.artifact
    assert artifact.labels == ("four", "two")
    assert {*artifact.tokens} == {*CONSONANTS, *VOWELS}
    report, folder = made
    assert report["label_losses"].keys() == {"four", "two"}
    assert report["fingerprints"] == len(LINES) - 1
    assert not {*sampler.sample(50, seed=1, novel=True)} & {s.split("\t")[1] for s in LINES}
    assert "| labels | four, two |" in (folder / "README.md").read_text()
    assert "| 'two' given, all lines |" in (folder / "README.md").read_text()
    vocabulary = sampler.vocabulary
    for each in sampler.sample_ids(100, seed=1, min_length=0):
        assert each.ids[0] >= vocabulary.first_label
        assert (each.ids[1:] < vocabulary.first_label).all()
        assert len(each.text) == len(each.ids) - 1


def test_strings_of_a_label_are_distributed_as_their_scores_say(sampler):
    strings = all_strings(sampler, "two", 3)
    n = 4000
    found = Counter(each.text for each in sampler.sample_ids(n, seed=3, label="two", min_length=0))
    usual = [text for text, p in strings.items() if p * n >= 10]
    observed = [found[text] for text in usual]
    expected = [strings[text] * n for text in usual]
    observed.append(n - sum(observed))
    expected.append(n - sum(expected))
    assert stats.chisquare(observed, expected).pvalue > SIGNIFICANCE


def test_without_a_label_it_is_drawn_and_scores_are_over_all_labels(sampler):
    shares = {each.text: each.probability for each in sampler.next_tokens()}
    assert shares.keys() == {"four", "two"}
    assert sum(shares.values()) == pytest.approx(1)
    n = 2000
    first = Counter(int(each.ids[0]) for each in sampler.sample_ids(n, seed=5, min_length=0))
    observed = [first[sampler.vocabulary.label_id(label)] for label in shares]
    expected = [share * n for share in shares.values()]
    assert stats.chisquare(observed, np.array(expected) * n / sum(expected)).pvalue > SIGNIFICANCE
    some = ["da", "kabo", "", "b"]
    by_label = [shares[label] * np.exp(sampler.score(some, label=label)) for label in shares]
    assert np.log(sum(by_label)) == pytest.approx(sampler.score(some))
    each = sampler.score_tokens(some, label="two")
    assert [len(of_string) for of_string in each] == [len(text) + 1 for text in some]
    assert [of_string.sum() for of_string in each] == pytest.approx(
        sampler.score(some, label="two"), abs=1e-5
    )


def test_lengths_filters_and_searches_do_not_count_the_label(sampler):
    options = {"seed": 2, "label": "four", "min_length": 2, "max_length": 3}
    assert {len(text) for text in sampler.sample(200, **options)} == {2, 3}
    assert all(len(text) <= 3 for text in sampler.sample(50, seed=2, max_length=3))
    made = sampler.sample(20, seed=2, label="two", prefix="d", suffix="a", max_length=4)
    assert all(text[0] == "d" and text[-1] == "a" for text in made)
    assert len({*sampler.sample(30, seed=2, unique=True, max_length=2)}) == 30
    strings = all_strings(sampler, "two", 2)
    likely = sampler.most_likely(5, label="two", max_length=2)
    best = sorted((p for text, p in strings.items() if len(text) == 1), reverse=True)
    singles = [p for t, p in zip(*likely[:2], strict=True) if len(t) == 1]
    assert singles == pytest.approx(best[: len(singles)])
    assert all(text.startswith("ba") for text in sampler.complete(["ba"], n=5, label="two")[0])
    assert sampler.next_tokens("da", label="two")[0].probability > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.sample(1, label="one"), "label 'one' is none .* it has 'four', 'two'"),
        (lambda s: s.sample(1, prefix="b"), "prefix 'b' needs the label of a string, one of"),
        (lambda s: s.most_likely(1), "most_likely needs the label of a string"),
        (lambda s: s.score_tokens(["b"]), "score_tokens needs the label of a string"),
        (lambda s: s.rank(["b"]), "rank is for a model without labels"),
        (lambda s: s.score(["b"], label="x"), "label 'x' is none of this model's"),
    ],
)
def test_calls_that_need_another_label_are_refused(made, call, message):
    with pytest.raises(OptionError, match=message):
        call(makemore.load(made[1]))


def test_commands_take_a_label(made, tmp_path):
    out, _ = run(mm_sample, made[1], "-n", "3", "--seed", "1", "--label", "two")
    sampler = makemore.load(made[1])
    assert out.splitlines() == sampler.sample(3, seed=1, label="two")
    (tmp_path / "lines.txt").write_text("da\n")
    out, _ = run(mm_score, made[1], tmp_path / "lines.txt", "--label", "two", "--json")
    found = json.loads(out)["scores"][0]["log_prob"]
    assert found == pytest.approx(sampler.score(["da"], label="two")[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tb\nc\n", r"line 2 is not a label, a tab and a string: 'c'"),
        ("a\tb\n\tc\n", "line 2 is not a label, a tab and a string"),
        ("".join(f"{i}\tb\n" for i in range(1001)), "has 1,001 labels; 1,000 is the limit"),
    ],
)
def test_texts_without_labels_are_refused(text, message, tmp_path):
    (tmp_path / "lines.txt").write_text(text)
    words = ["--labels", "--model", "bigram", "-o", tmp_path / "out", "--split", "100"]
    assert message in run(mm_export, tmp_path / "lines.txt", *words, code=2)[1]


def test_a_run_with_labels_is_another_than_one_without(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")
    words = [tmp_path / "lines.txt", "-o", tmp_path / "out", "--model", "bigram"]
    run(mm_export, *words, "--labels")
    assert "labels four, two, now " in run(mm_export, *words, code=2)[1]
    run(mm_export, *words, "--labels", "--samples", "0")
    run(mm_export, tmp_path / "out.run", "-o", tmp_path / "again", "--half", "--samples", "0")
    assert makemore.load(tmp_path / "again").sample(3, seed=1, label="two")


def test_words_may_have_labels(tmp_path):
    lines = [f"{label}\tthe {noun} ran" for label in "xy" for noun in ("cat", "dog", "crow")]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    words = ["--labels", "--level", "word", "--model", "ngram", "--split", "100"]
    run(mm_export, tmp_path / "lines.txt", "-o", tmp_path / "out", *words, "--samples", "0")
    sampler = makemore.load(tmp_path / "out")
    made = sampler.sample(20, seed=1, label="x", matching="the .*")
    assert all(text.startswith("the ") for text in made)
    assert all(" " in text for text in sampler.sample(20, seed=1, label="y", min_length=2))


def test_a_vocabulary_knows_its_labels():
    vocabulary = Vocabulary("ab", labels=["x", "y"])
    assert (len(vocabulary), vocabulary.first_label) == (5, 3)
    assert vocabulary.encode_line("y\tab") == [4, 1, 2]
    assert vocabulary.texts() == [None, "a", "b", "", ""]
    ids, offsets = np.array([4, 1, 2, 3, 3, 2]), np.array([0, 3, 4, 6])
    assert vocabulary.decode(ids, offsets) == ["ab", "", "b"]
    words = WordVocabulary([" the", ","], labels=["x"])
    assert (len(words), words.unknown, words.label_id("x")) == (5, 3, 4)
    assert words.decode(np.array([4, 1, 2]), np.array([0, 3])) == ["the,"]


class CountedPasses(list):
    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()


def test_losses_of_many_labels_are_those_of_their_lines_which_are_read_once():
    labels = [f"label {i}" for i in range(20)]
    vocabulary = Vocabulary("ab", labels=[*labels, "of no line"])
    lines = CountedPasses(f"{label}\t{'ab' * i}" for i in range(3) for label in labels)
    model = new_model("neural-bigram", {}, len(vocabulary))
    losses = label_losses(model, SimpleNamespace(vocabulary=vocabulary), lines)
    assert lines.passes == 1
    with torch.inference_mode():
        table = model(torch.arange(len(vocabulary))[None])[0].log_softmax(-1)  # (V, V)
    for label in labels:
        nats = tokens = 0
        for line in lines:
            if line.startswith(f"{label}\t"):
                ids = [*vocabulary.encode_line(line), 0]
                nats -= sum(float(table[a, b]) for a, b in pairwise(ids))
                tokens += len(ids) - 1
        assert losses[label] == pytest.approx(nats / tokens)
    assert losses.keys() == {*labels}
