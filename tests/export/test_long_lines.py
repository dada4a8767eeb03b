"""Lines so long that they would make training slow."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from makemore import Sampler
from makemore.errors import DataError
from makemore.vocabulary import Vocabulary
from makemore_export.commands.run_training import Interrupts
from makemore_export.commands.train import main as mm_train
from makemore_export.data.encoded_strings import PADDING, EncodedStrings
from makemore_export.data.length_bucketing import TOKENS_PER_STRING, LengthBuckets
from makemore_export.data.long_lines import long_lines_warning, without_long_lines
from makemore_export.data.text import read_content, read_text
from makemore_export.evaluation.likelihood import mean_nll
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.runs.run_text import lines_of
from small_runs import LINES, same

LETTERS = Vocabulary("abcdefghijklmnopqrstuvwxyz")
SMALL = [
    *("--model", "gru", "--n-hidden", "8", "--n-embd", "8"),
    *("--max-steps", "4", "--batch-size", "8", "--device", "cpu"),
]


@pytest.fixture
def text(tmp_path):
    def make(*lines):
        path = tmp_path / "text.txt"
        path.write_text("\n".join(lines))
        return path

    return make


def train(*words):
    return CliRunner().invoke(mm_train, [str(word) for word in words])


def test_batches_of_short_strings_are_those_of_earlier_versions():
    lengths = np.random.default_rng(5).integers(2, 200, 500)
    buckets = LengthBuckets(lengths, 32, seed=7)
    rows = np.concatenate([buckets.rows(step) for step in range(1, 40)])
    digest = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
    assert digest == "d66b5bc06fefa73048490695604299f94ef03b0625bee6558320810c612c2b11"


@pytest.mark.parametrize("fewest", [1, 3])
def test_a_batch_has_no_more_tokens_than_strings_of_256_however_long_some_are(fewest):
    lengths = np.random.default_rng(5).integers(1, 40, 300)
    lengths[[3, 77, 130, 131]] = 900
    buckets = LengthBuckets(lengths, 8, 1, fewest=fewest)
    batches = [buckets.rows(step) for step in range(1, 90)]
    sizes = [len(rows) * lengths[rows].max() for rows in batches]
    assert min(map(len, batches)) >= fewest
    assert max(sizes) <= max(8 * TOKENS_PER_STRING, (2 * fewest - 1) * 900)
    again = LengthBuckets(lengths, 8, 1, fewest=fewest)
    assert [again.rows(step).tolist() for step in (80, 2)] == [
        batches[step - 1].tolist() for step in (80, 2)
    ]


def test_an_epoch_with_long_strings_has_each_string_once():
    lengths = np.full(16, 600)
    buckets = LengthBuckets(lengths, 8, seed=1)  # of 8 strings of 600, 3 fit into a batch
    epoch = [buckets.rows(step) for step in range(1, 7)]
    assert [len(rows) for rows in epoch] == [3, 3, 2, 3, 3, 2]
    assert sorted(np.concatenate(epoch)) == list(range(16))
    assert buckets.mean_tokens() == 16 * 600 / 6


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_pieces_hold_every_token_once(most):
    lines = ["abcdefg", "a", "xyz", "bb"]
    strings = EncodedStrings(lines, LETTERS)
    pieces = strings.pieces(most)
    inputs, targets = pieces.batch(torch.arange(len(pieces)))
    assert inputs.shape[1] <= most
    flat = [token for row in targets.tolist() for token in row if token != PADDING]
    assert flat == [token for line in lines for token in (*LETTERS.encode(line), 0)]
    firsts = inputs[targets != PADDING].tolist()
    assert firsts == [token for line in lines for token in (0, *LETTERS.encode(line))]


class Uniform(torch.nn.Module):
    def forward(self, tokens):
        assert tokens.numel() <= max(1 << 13, 5001)
        return torch.zeros(*tokens.shape, len(LETTERS))


def test_an_evaluation_with_a_long_string_has_few_batches_and_every_token():
    strings = EncodedStrings(["abc"] * 2000 + ["a" * 5000], LETTERS)
    batches = list(strings.batches())
    assert len(batches) == 2
    assert sum(int((targets != PADDING).sum()) for _, targets in batches) == 2000 * 4 + 5001
    assert mean_nll(Uniform(), strings) == pytest.approx(np.log(27), abs=1e-6)


def test_what_is_shown_of_a_model_of_long_lines_is_all_that_is_made(tmp_path, monkeypatch):
    asked = []
    sample = Sampler.sample
    monkeypatch.setattr(
        Sampler, "sample", lambda *a, **options: [asked.append(options), sample(*a, **options)][1]
    )
    (tmp_path / "text.txt").write_text("abc " * 5000)
    words = (tmp_path / "text.txt", "-o", tmp_path / "run", "--model", "bigram", "--split", "100")
    result = train(*words)
    assert result.exit_code == 0, result.output
    assert [options["max_length"] for options in asked] == [201, 4096]  # of the novelty: more


def test_the_longest_lines_are_named_with_a_limit_that_would_do(text):
    path = text(*LINES * 30, "x" * 700, "b", "y" * 900)
    warning = long_lines_warning(read_text(path), has_labels=False)
    assert "line 1923 has 900 characters, line 1921 700, line 4 5;" in warning
    assert "99% of all have at most 5: --max-line-length 5 --long-lines cut" in warning
    assert long_lines_warning(read_text(text(*LINES, "x" * 200)), has_labels=False) is None
    assert "half of all have 300 or more" in long_lines_warning(
        read_text(text(*["x" * 300] * 9)), has_labels=False
    )


def test_longer_lines_are_refused_dropped_or_cut(text):
    whole = read_text(text("anna", "bartholomew", "bart", "eve"))
    cut = without_long_lines(whole, 4, "cut", has_labels=False)
    assert (cut.lines, cut.duplicates) == (("anna", "bart", "bart", "eve"), 1)
    dropped = without_long_lines(whole, 4, "drop", has_labels=False)
    assert (dropped.lines, [*dropped.numbers]) == (("anna", "bart", "eve"), [1, 3, 4])
    with pytest.raises(DataError, match=r"line 2 has 11 characters.*--max-line-length is 4"):
        without_long_lines(whole, 4, "error", has_labels=False)
    with pytest.raises(DataError, match="no line has at most 2 characters"):
        without_long_lines(whole, 2, "drop", has_labels=False)


def test_a_label_does_not_count_as_length(text):
    whole = read_text(text("a label\tanna", "b\tbartholomew"))
    cut = without_long_lines(whole, 4, "cut", has_labels=True)
    assert cut.lines == ("a label\tanna", "b\tbart")


def test_a_limit_is_of_the_run_and_goes_on_with_it(text, tmp_path):
    path, out = text(*LINES, "x" * 300), tmp_path / "run"
    limit = ("--max-line-length", "6", "--long-lines")
    result = train(path, "-o", out, *SMALL, *limit, "cut")
    assert "; 1 longer than 6 cut;" in result.stderr
    run = RunFolder(out).latest().run
    assert (run.max_line_length, run.long_lines) == (6, "cut")
    assert lines_of(run, read_content(path), "utf-8")[-1] == "xxxxxx"
    assert train(path, "-o", out, "--resume").exit_code == 0
    other = train(path, "-o", out, "--resume", *limit, "drop")
    assert "long_lines cut, now drop" in other.stderr
    assert (
        "needs --max-line-length"
        in train(path, "-o", tmp_path / "new", *SMALL, "--long-lines", "cut").stderr
    )


@contextmanager
def interrupted_at_once():
    found = Interrupts()
    found.noted = True
    yield found


def test_a_run_with_a_string_longer_than_a_piece_goes_on_bit_for_bit(text, tmp_path, monkeypatch):
    monkeypatch.setattr("makemore_export.training.gradient.EVALUATE_EVERY", 2)
    path = text(*LINES, "xyz" * 1000)
    result = train(path, "-o", tmp_path / "one", *SMALL, "--split", "100")
    assert "warning: long lines slow training down: line 65 has 3,000 characters" in result.stderr
    monkeypatch.setattr("makemore_export.commands.run_training.interrupts", interrupted_at_once)
    assert train(path, "-o", tmp_path / "two", *SMALL, "--split", "100").exit_code == 130
    monkeypatch.undo()
    monkeypatch.setattr("makemore_export.training.gradient.EVALUATE_EVERY", 2)
    assert train(path, "-o", tmp_path / "two", "--resume").exit_code == 0
    one, two = (RunFolder(tmp_path / name).latest() for name in ("one", "two"))
    assert same(one, two)
