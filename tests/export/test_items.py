"""Texts of several lines as one thing, through every level, file and command."""

from __future__ import annotations

import json
import re

import makemore
import numpy as np
import pytest
from commands import run
from hypothesis import given
from hypothesis import strategies as st
from makemore.commands.sample import sample as mm_sample
from makemore.commands.score import score as mm_score
from makemore.text import numbered_items
from makemore.word_vocabulary import WordVocabulary
from makemore_export.commands.export import main as mm_export
from makemore_export.commands.train import main as mm_train
from makemore_export.data.reading import Reading
from makemore_export.data.text import read_text

ITEMS = [
    f"def {name}(x):\n    y = x {operator} 2\n\n    return {name}(y)"
    for name in ("f", "g", "go")
    for operator in "+-*"
]
LEVELS = {
    "character": [],
    "word": [],
    "token": ["--split-pattern", "[a-z]+| +|[^a-z ]"],
}


@pytest.fixture(scope="module", params=LEVELS)
def artifact(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "text.py").write_text("\n%\n".join(ITEMS) + "\n%\n")
    words = ["--separator", r"\n%\n", "--level", request.param, *LEVELS[request.param]]
    words += ["--model", "ngram", "--order", "6", "--split", "100"]
    out, told = run(mm_export, folder / "text.py", "-o", folder / "out", *words)
    assert r"text.py: 9 items between \n%\n; train 9; " in told
    assert r"\n" in out
    return folder / "out"


def test_line_ends_survive_training_sampling_and_scoring(artifact):
    sampler = makemore.load(artifact)
    assert "\n" in sampler.artifact.tokens
    kept = ITEMS
    if sampler.artifact.level == "word":  # which keeps line ends, but no other white space
        kept = [re.sub("\n +", "\n", item) for item in ITEMS]
    made = sampler.sample(200, seed=1, max_length=200)
    assert any(each.startswith("def ") and each.count("\n") == 3 for each in made)
    scores = sampler.score(ITEMS)
    assert np.isfinite(scores).all()
    assert (scores > sampler.score([item.replace("\n", "") for item in ITEMS])).all()
    ids = [np.array(sampler.encode(item)) for item in ITEMS]
    assert [sampler.vocabulary.decode(i, np.array([0, len(i)]))[0] for i in ids] == kept


def test_items_are_written_as_they_are_read(artifact, tmp_path):
    made = makemore.load(artifact).sample(30, seed=3, max_length=99)
    words = ["-n", 30, "--seed", 3, "--max-length", 99]
    rows = [json.loads(row) for row in run(mm_sample, artifact, *words, "--json")[0].splitlines()]
    assert [row["text"] for row in rows] == made
    out, _ = run(mm_sample, artifact, *words, "--separator", r"\n%\n")
    kept = [each.rstrip() for each in made if each.strip()]
    assert [item.strip() for _, item in numbered_items(out, r"\n%\n")] == [k.strip() for k in kept]
    (tmp_path / "some.txt").write_text("\n%\n".join(ITEMS))
    words = [tmp_path / "some.txt", "--separator", r"\n%\n"]
    shown = run(mm_score, artifact, *words)[0].splitlines()
    assert [line.partition("\t")[2] for line in shown] == [i.replace("\n", r"\n") for i in ITEMS]
    scored = run(mm_score, artifact, *words, "--json")[0]
    assert [row["text"] for row in json.loads(scored)["scores"]] == ITEMS


def test_a_run_keeps_its_separator(tmp_path):
    (tmp_path / "text.txt").write_text("\n \n\n".join(["a\nb", "b\na", "a b", "b"]))
    words = ["--separator", "blank", "--model", "bigram", "--split", "100"]
    told = run(mm_train, tmp_path / "text.txt", "-o", tmp_path / "run", *words)[1]
    assert told.startswith("text.txt: 4 items between blank lines; train 4; 4 characters\n")
    run(mm_train, tmp_path / "text.txt", "-o", tmp_path / "run", "--resume")
    other = ["-o", tmp_path / "run", "--resume", "--separator", "%"]
    assert "separator blank, now %" in run(mm_train, tmp_path / "text.txt", *other, code=2)[1]


def test_an_export_is_told_again_how_the_text_of_its_run_is_read(tmp_path):
    (tmp_path / "text.txt").write_text("A\nb\n\nB\na\n\na b\n")
    read = ["--separator", "blank", "--lower"]
    words = ["--model", "bigram", "--split", "100"]
    run(mm_train, tmp_path / "text.txt", "-o", tmp_path / "run", *read, *words)
    export = [tmp_path / "run", "-o", tmp_path / "out"]
    text = ["--text", tmp_path / "text.txt"]
    out, _ = run(mm_export, *export, *text, *read, "--encoding", "latin-1")
    assert "fingerprints of 3 lines" in out
    assert makemore.load(tmp_path / "out").fingerprints().contains(["a\nb", "b\na", "a b"]).all()
    refused = run(mm_export, *export, *text, "--separator", "%", "--nfc", code=2)[1]
    assert "its text was read in another way: nfc False, now True; " in refused
    assert "separator blank, now %" in refused
    assert "--separator is for --text" in run(mm_export, *export, *read, code=2)[1]
    assert "--labels is for training" in run(mm_export, *export, *text, "--labels", code=2)[1]


def test_a_separator_that_does_not_occur_is_named_where_nothing_can_be_split(tmp_path):
    (tmp_path / "text.txt").write_text("a\nb\n%%\nc\n")
    words = [tmp_path / "text.txt", "-o", tmp_path / "run", "--model", "bigram"]
    refused = run(mm_train, *words, "--separator", r"\n%\n", code=2)[1]
    assert r"text.txt: is one item" in refused
    assert r"the --separator \n%\n does not occur between two" in refused
    run(mm_train, *words, "--separator", r"\n%\n", "--split", "100")


def test_paragraphs_keep_their_lines_and_their_numbers(tmp_path):
    (tmp_path / "text.txt").write_bytes(b"\r\n \r\n  a\r\n b \r\n\r\n\t\r\n\r\nc\n\n")
    text = read_text(tmp_path / "text.txt", Reading(separator="blank"))
    assert (text.lines, [*text.numbers]) == (("  a\n b", "c"), [3, 8])


@given(st.lists(st.lists(st.sampled_from(["a", " b", "c d"]), min_size=1, max_size=3)), st.data())
def test_what_is_between_separators_is_found(items, data):
    texts = ["\n".join(lines) for lines in items]
    separator = data.draw(st.sampled_from(["blank", "%", r"\n%\n", r"\t"]))
    between = {"blank": "\n \n\n", "%": "%", r"\n%\n": "\n%\n", r"\t": "\t"}[separator]
    found = numbered_items(between.join(texts), separator)
    assert [item for _, item in found] == texts
    numbers = [1 + between.join([*texts[:i], ""]).count("\n") for i in range(len(texts))]
    assert [number for number, _ in found] == numbers


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--separator", ""], "--separator is empty"),
        (["--separator", "%", "--column", "a"], "does not go with --column"),
    ],
)
def test_a_separator_that_means_nothing_is_refused(tmp_path, words, message):
    (tmp_path / "text.txt").write_text("a\n")
    assert message in run(mm_train, tmp_path / "text.txt", "-o", tmp_path / "r", *words, code=2)[1]


def test_words_of_several_lines_come_back():
    vocabulary = WordVocabulary.of(["to be,\nor not\n\nto be"], line_ends=True)
    assert "\n" in vocabulary.tokens
    ids = np.array(vocabulary.encode("to be,\nor not\n\nto be"))
    assert vocabulary.decode(ids, np.array([0, len(ids)])) == ["to be,\nor not\n\nto be"]
    without = WordVocabulary.of(["to be or not"])
    assert without.encode("to\nbe") == without.encode("to be")
