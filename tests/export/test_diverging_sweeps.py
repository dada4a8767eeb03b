"""`mm-train --sweep` over values at which training diverges."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
from makemore_export.commands.run_training import Interrupts
from makemore_export.runs.records import Step
from test_sweep import mm

NEURAL = ("--model", "neural-bigram", "--max-steps", "5", "--device", "cpu")
DIVERGING = ("--sweep", "learning_rate=0.1,1e38,0.2")


def test_a_value_at_which_training_diverges_is_recorded_and_the_next_is_tried(tmp_path):
    for _ in range(2):  # the second time finished runs are used again
        result = mm(tmp_path, "-o", tmp_path / "sweep", *NEURAL, *DIVERGING)
        assert result.exit_code == 0, result.stderr
        assert "learning_rate=1e38: training diverged: the train loss is nan" in result.stderr
        _, first, diverged, last = result.stdout.splitlines()
        assert diverged.split()[:3] == ["1e38", "inf", "inf"]
        assert (first + last).count("lowest dev") == 1
    lines = (tmp_path / "sweep" / "sweep.jsonl").read_text().splitlines()
    losses = [(run["train"], run["dev"]) for run in map(json.loads, lines)]
    assert losses[1] == (None, None)
    assert None not in losses[0] + losses[2]


@pytest.mark.parametrize("others", [(), ("--sweep", "batch_size=4,8", "--trials", "2")])
def test_where_training_diverges_at_every_value_that_is_an_error(tmp_path, others):
    if others:
        pytest.importorskip("optuna")
    words = (*NEURAL, "--sweep", "learning_rate=1e38,1e39", *others)
    result = mm(tmp_path, "-o", tmp_path / "out", *words)
    assert result.exit_code == 2
    assert "Error: training diverged at every value: " in result.stderr
    (lines,) = (tmp_path / "out").glob("*.jsonl")
    assert len(lines.read_text().splitlines()) == 2


def test_a_search_goes_on_after_trials_that_diverge(tmp_path):
    pytest.importorskip("optuna")
    words = (*NEURAL, *DIVERGING, "--sweep", "batch_size=4,8", "--json", "--trials")
    for trials in (6, 7):
        result = mm(tmp_path, "-o", tmp_path / "search", *words, trials)
        assert result.exit_code == 0, result.stderr
        found = json.loads(result.stdout)
        assert len(found["runs"]) == trials
        diverged = [run["value"] for run in found["runs"] if run["dev"] is None]
        assert diverged
        assert all("learning_rate=1e38" in value for value in diverged)
        assert found["best"] not in diverged


def test_a_search_goes_on_after_a_stop_in_a_training_that_diverges(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    words = (*NEURAL, "--sweep", "learning_rate=1e38,1e39", "--sweep", "batch_size=4,8")
    words = (*words, "--trials", "2")

    class Later(Interrupts):
        def after(self, record):
            return isinstance(record, Step) and record.step == 3

    with monkeypatch.context() as patch:
        patch.setattr("makemore_export.commands.search.interrupts", lambda: nullcontext(Later()))
        assert mm(tmp_path, "-o", tmp_path / "search", *words).exit_code == 130
    for _ in range(2):
        result = mm(tmp_path, "-o", tmp_path / "search", *words)
        assert "training diverged at every value" in result.stderr
