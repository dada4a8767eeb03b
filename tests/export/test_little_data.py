"""Lists of a few lines."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from makemore.errors import DataError
from makemore_export.commands.train import main as mm_train
from makemore_export.data.splits import split
from makemore_export.runs.checkpoint import RunFolder
from small_runs import LINES

SMALL = ["--model", "gru", "--n-hidden", "8", "--n-embd", "8", "--device", "cpu"]


def train(tmp_path, lines, *words):
    (tmp_path / "text.txt").write_text("\n".join(lines))
    arguments = [str(tmp_path / "text.txt"), "-o", str(tmp_path / "run"), *SMALL, *words]
    return CliRunner().invoke(mm_train, arguments)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_lines_too_few_for_a_split_are_an_error_that_says_what_to_do(tmp_path, count):
    result = train(tmp_path, LINES[:count])
    assert result.exit_code == 2
    assert f"of {count} lines leaves none for" in result.stderr
    assert "--split 100 trains on all lines" in result.stderr
    assert "repeat" not in result.stderr


def test_lines_that_were_dropped_as_duplicates_are_named():
    with pytest.raises(DataError, match=r"of 4 lines leaves none for .* \(36 more repeat one of"):
        split(["a", "b", "c", "d"] * 10, (80, 10, 10), seed=1)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_lines_trains_without_dev_and_test(tmp_path, count):
    result = train(tmp_path, LINES[:count], "--split", "100", "--max-steps", "3")
    assert result.exit_code == 0
    assert "too few" not in result.stderr


def test_a_dev_split_too_small_to_judge_by_is_said(tmp_path):
    result = train(tmp_path, LINES, "--max-steps", "3")
    assert "warning: dev has 7 lines, too few to judge by" in result.stderr


def test_training_stops_by_default_where_dev_loss_only_rises(tmp_path, monkeypatch):
    monkeypatch.setattr("makemore_export.training.gradient.EVALUATE_EVERY", 10)
    options = ("--max-steps", "2000", "--learning-rate", "0.1", "--schedule", "constant")
    assert train(tmp_path, LINES[:10], *options).exit_code == 0
    last = RunFolder(tmp_path / "run").latest()
    assert last.progress.waited == last.run.recipe.patience == 5
    assert last.progress.step < 2000
