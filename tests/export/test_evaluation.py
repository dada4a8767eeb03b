"""How well a model predicts, and how new what it makes is."""

from __future__ import annotations

import json
import math
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from makemore.vocabulary import Vocabulary
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import bits, mean_nll, perplexity, probability_of_any
from makemore_export.evaluation.memorisation import memorised
from makemore_export.evaluation.novelty import Memorised, Novelty, compare
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


class Chain(nn.Module):
    """Stops with probability 1/2 after "a", never at the start or after "b"; else "a" or "b"."""

    PROBABILITIES = torch.tensor([[0.0, 0.7, 0.3], [0.5, 0.2, 0.3], [0.0, 0.6, 0.4]])

    def forward(self, tokens):
        return self.PROBABILITIES[tokens].log()

    def probability(self, string):
        path = [0, *("-ab".index(letter) for letter in string), 0]
        return math.prod(float(self.PROBABILITIES[a, b]) for a, b in pairwise(path))


def test_what_a_model_memorised_is_the_probability_of_all_lines_of_train():
    model, vocabulary = Chain(), Vocabulary("ab")
    lines = {"train": ["a", "aa", "ba", "bba"], "dev": ["aaa", "abba"]}
    strings = {name: EncodedStrings(each, vocabulary) for name, each in lines.items()}
    losses = {name: mean_nll(model, each) for name, each in strings.items()}
    found = memorised(model, strings, losses)
    every = ["".join(each) for n in range(12) for each in product("ab", repeat=n)]
    others = sum(model.probability(each) for each in every if each not in lines["train"])
    assert found.of_train == pytest.approx(sum(map(model.probability, lines["train"])))
    assert found.of_train + others == pytest.approx(1, abs=0.1)  # longer ones are left out
    given_new = [model.probability(line) / (1 - found.of_train) for line in lines["dev"]]
    assert found.losses == {"dev": pytest.approx(-sum(map(math.log, given_new)) / (4 + 5))}


def test_a_very_long_string_is_evaluated_in_pieces(monkeypatch):
    seen = []

    class Watched(Chain):
        def forward(self, tokens):
            seen.append(tokens.shape[1])
            return super().forward(tokens)

    strings = EncodedStrings(["aba" * 5 + "a", "a", "ba"], Vocabulary("ab"))
    whole = mean_nll(Watched(), strings)
    monkeypatch.setattr("makemore_export.evaluation.likelihood.LONGEST", 4)
    assert mean_nll(Watched(), strings) == pytest.approx(whole)  # it looks back one token only
    assert seen[0] == 17
    assert max(seen[1:]) == 4
    short = sum(map(Chain().probability, ["a", "ba"]))
    assert probability_of_any(Chain(), strings) == pytest.approx(short)
    assert probability_of_any(Chain(), strings.first(1)) == 0


def test_a_model_that_memorised_all_it_makes_has_no_loss_of_new_strings():
    vocabulary = Vocabulary("ab")
    strings = {"train": EncodedStrings(["a"], vocabulary), "dev": EncodedStrings(["b"], vocabulary)}

    class Certain(nn.Module):
        def forward(self, tokens):
            return torch.tensor([[-math.inf, 0.0, -math.inf], [0.0, -math.inf, -math.inf]] * 2)[
                tokens
            ]

    assert memorised(Certain(), strings, {"dev": 1.0}) is None


def test_what_was_memorised_reads_as_a_share():
    assert str(Memorised(of_train=0.25, losses={"dev": 1.9, "test": 2.0})) == (
        "25.0% of its probability is on strings of train; "
        "given that a string is none of them: dev 1.9000  test 2.0000"
    )


def test_novelty_reads_as_shares():
    novelty = compare(["ab", "ab", "b", "aa"], {"train": ["ab", "aa"], "dev": ["b"]})
    assert str(novelty) == (
        "0.0% new, 75.0% in train, 25.0% in dev or test; 75.0% distinct; "
        "the first 1.5 of 1.8 characters, at most 2, are those of a training line"
    )


def test_the_report_and_the_card_tell_losses_and_novelty(tmp_path):
    source = trained(tmp_path / "run", "bigram")
    told = Memorised(of_train=0.25, losses={"dev": 1.9})
    novelty = replace(compare(["lena"], {"train": ["leni"]}), memorised=told)
    known = replace(source, progress=replace(source.progress, novelty=novelty))
    export(known, tmp_path / "artifact")
    report = json.loads((tmp_path / "artifact" / "report.json").read_text())
    assert report["novelty"]["longest_prefix"] == 3
    card = (tmp_path / "artifact" / "README.md").read_text()
    assert f"Of 1 samples: {novelty}.\n\n{told}." in card
    assert report["novelty"]["memorised"] == {
        "of_train": 0.25,
        "losses": {"dev": 1.9},
        "known": "train",
    }
    for name, loss in source.progress.losses.items():
        row = f"| {name} | {loss:.4f} | {math.exp(loss):.3f} | {loss / math.log(2):.4f} |"
        assert row in card
