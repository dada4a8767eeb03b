"""The sweep of the learning rate, and what it suggests."""

from __future__ import annotations

import json
import math
import re
import shlex

import pytest
from click.testing import CliRunner
from makemore.errors import TrainingError
from makemore_export.commands.train import main as mm_train
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.training import find_lr
from makemore_export.training.find_lr import Trial, suggestion, sweep
from makemore_export.training.start import initial_model
from small_runs import LINES, planned

SMALL = "text.txt -o run --model transformer --n-layer 1 --n-embd 8 --n-head 2 --device cpu"


def trials(*losses):
    return [Trial(learning_rate=10.0**i, loss=x, smoothed=x) for i, x in enumerate(losses)]


def swept(**options):
    run, splits = planned(**options)
    return list(sweep(initial_model(run), run, EncodedStrings(splits["train"], run.vocabulary)))


def test_the_rate_grows_by_one_factor_until_the_loss_has_diverged():
    found = swept(optimizer="sgd", clip=0.0)
    rates = [trial.learning_rate for trial in found]
    factor = 1e7 ** (1 / 299)
    assert rates == pytest.approx([1e-6 * factor**i for i in range(len(rates))])
    best = min(trial.smoothed for trial in found)
    assert best < found[0].loss
    assert all(trial.smoothed <= 4 * best for trial in found)


def test_a_sweep_that_does_not_diverge_takes_all_steps(monkeypatch):
    monkeypatch.setattr(find_lr, "HIGHEST", 1e-3)
    assert len(swept()) == 300


def test_a_loss_that_is_no_number_ends_the_sweep(monkeypatch):
    monkeypatch.setattr(find_lr, "HIGHEST", 1e30)
    monkeypatch.setattr(find_lr, "_DIVERGED", math.inf)
    found = swept(optimizer="sgd", clip=0.0)
    assert len(found) < 300
    assert all(math.isfinite(trial.smoothed) for trial in found)


def test_the_smoothed_loss_is_a_moving_average_without_bias():
    found = swept()[:20]
    for n in (1, 2, 20):
        weights = [0.9 ** (n - 1 - i) for i in range(n)]
        mean = sum(w * t.loss for w, t in zip(weights, found, strict=False)) / sum(weights)
        assert found[n - 1].smoothed == pytest.approx(mean)


def test_the_suggestion_is_a_tenth_of_the_best_rate():
    assert suggestion(trials(3.0, 2.9, 2.5, 2.4, 6.0)) == 100.0


def test_a_loss_that_never_falls_suggests_nothing():
    for never in (trials(), trials(3.0), trials(3.0, 3.1)):
        with pytest.raises(TrainingError, match="no learning rate from 1e-06 to 10 makes the loss"):
            suggestion(never)


def invoked(words):
    return CliRunner().invoke(mm_train, shlex.split(words))


def test_the_command_keeps_the_sweep_and_leaves_the_folder_for_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    told = invoked(f"{SMALL} --find-lr --json")
    found = json.loads(told.stdout)
    assert [json.loads(line)["kind"] for line in told.stderr.splitlines()] == ["message"]
    kept = [json.loads(line) for line in (tmp_path / "run/find_lr.jsonl").read_text().splitlines()]
    best = min(kept, key=lambda trial: trial["smoothed"])
    assert found["learning_rate"] == pytest.approx(best["learning_rate"] / 10)
    assert all((tmp_path / file).stat().st_size for file in found["files"])
    assert invoked(f"{SMALL} --max-steps 2").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model bigram", "--find-lr does not apply to model bigram"),
        ("--model mlp --resume", "--find-lr is for new weights"),
        ("--model mlp --tensorboard", "--find-lr .* not with --tensorboard"),
    ],
)
def test_the_command_refuses_what_has_no_rate_to_find(tmp_path, words, message):
    result = invoked(f"-o {tmp_path / 'run'} --find-lr --device cpu {words}")
    assert result.exit_code == 2
    assert re.search(message, result.stderr)
    assert not (tmp_path / "run").exists()
