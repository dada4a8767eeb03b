"""How well a model predicts, and how new what it makes is."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from makemore.vocabulary import Vocabulary
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import bits, mean_nll, perplexity
from makemore_export.evaluation.novelty import Novelty, compare
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.model_card import quality
from msgspec.structs import replace
from small_runs import trained
from torch import nn

WORDS = st.text("ab", max_size=4)


class Uniform(nn.Module):
    def forward(self, tokens):
        return torch.zeros(*tokens.shape, 8)


def test_knowing_nothing_is_as_good_as_a_fair_die():
    vocabulary = Vocabulary("abcdefg")
    nll = mean_nll(Uniform(), EncodedStrings(["abc", "g"], vocabulary))
    assert nll == pytest.approx(math.log(8))
    assert perplexity(nll) == pytest.approx(8)
    assert bits(nll) == pytest.approx(3)


def test_a_loss_is_told_in_three_ways_and_an_endless_one_too():
    assert quality(math.log(8)) == ("2.0794", "8.000", "3.0000")
    assert quality(None) == ("infinite",) * 3
    assert quality(1000.0)[1] == "inf"


def test_novelty_of_a_hand_made_example():
    splits = {"train": ["anna", "emma", "emil"], "dev": ["anne", "anna"], "test": ["otto"]}
    samples = ["anna", "anna", "anne", "otto", "emi", "bob"]
    assert compare(samples, splits) == Novelty(
        samples=6,
        in_train=2,  # anna twice, though dev has it too
        held_out=2,
        distinct=5,
        mean_length=22 / 6,
        mean_prefix=(4 + 4 + 3 + 0 + 3 + 0) / 6,
        longest_prefix=4,
    )


@given(st.lists(WORDS, min_size=1), st.lists(WORDS, min_size=1))
def test_the_shared_prefix_is_the_longest_with_any_line(samples, lines):
    found = compare(samples, {"train": lines})
    starts = {line[:end] for line in lines for end in range(len(line) + 1)}
    shared = [max(n for n in range(len(s) + 1) if s[:n] in starts) for s in samples]
    assert found.longest_prefix == max(shared)
    assert found.mean_prefix == pytest.approx(sum(shared) / len(shared))


def test_novelty_reads_as_shares():
    novelty = compare(["ab", "ab", "b", "aa"], {"train": ["ab", "aa"], "dev": ["b"]})
    assert str(novelty) == (
        "0.0% new, 75.0% in train, 25.0% in dev or test; 75.0% distinct; "
        "the first 1.5 of 1.8 characters, at most 2, are those of a training line"
    )


def test_the_report_and_the_card_tell_losses_and_novelty(tmp_path):
    source = trained(tmp_path / "run", "bigram")
    novelty = compare(["lena"], {"train": ["leni"]})
    known = replace(source, progress=replace(source.progress, novelty=novelty))
    export(known, tmp_path / "artifact")
    report = json.loads((tmp_path / "artifact" / "report.json").read_text())
    assert report["novelty"]["longest_prefix"] == 3
    card = (tmp_path / "artifact" / "README.md").read_text()
    assert f"Of 1 samples: {novelty}." in card
    for name, loss in source.progress.losses.items():
        row = f"| {name} | {loss:.4f} | {math.exp(loss):.3f} | {loss / math.log(2):.4f} |"
        assert row in card
