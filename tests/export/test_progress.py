"""How a training without a terminal says how far it is."""

from __future__ import annotations

import json
import re

import pytest
import torch
from click.testing import CliRunner
from makemore_export.commands.pace import Stopwatch, pace_line
from makemore_export.commands.progress_display import ProgressDisplay
from makemore_export.commands.train import main as mm_train
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.runs.records import Evaluation, Step
from makemore_export.training.closing import closing_seconds, steps_seconds
from makemore_export.training.start import initial_model
from small_runs import LINES, planned, same


class Clock:
    """A clock that goes on by `seconds` each time it is asked."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def __call__(self):
        self.now += self.seconds
        return self.now


def step(number, tokens=600):
    return Step(model="lstm", step=number, tokens=tokens, loss=lambda: 2.5)


def evaluation(number):
    return Evaluation(
        model="lstm",
        step=number,
        losses={},
        running_loss=2.25,
        best=True,
        finished=False,
        seconds=1,
    )


def test_a_line_every_ten_seconds_has_step_loss_speed_and_time_left(capsys):
    display = ProgressDisplay(1000, 100, clock=Clock(3.0))
    for number in range(101, 110):
        display.advance(step(number))
    assert capsys.readouterr().err.splitlines() == [
        "step    105 of 1,000  loss 2.5000  200 tokens/s  0:44:45 left",
        "step    109 of 1,000  loss 2.5000  200 tokens/s  0:44:33 left",
    ]


def test_a_step_with_an_evaluation_counts_too(capsys):
    display = ProgressDisplay(20, clock=Clock(10.0))
    display.advance(step(1))
    display.advance(evaluation(2))
    assert capsys.readouterr().err == "step      2 of 20  loss 2.2500  0 tokens/s  0:03:00 left\n"


def test_with_json_each_line_is_a_record(capsys):
    display = ProgressDisplay(20, as_json=True, clock=Clock(10.0))
    display.show("a notice")
    display.advance(step(1))
    display.advance(step(2))
    message, pace = map(json.loads, capsys.readouterr().err.splitlines())
    assert message == {"kind": "message", "text": "a notice"}
    assert pace == {
        "kind": "progress",
        "model": "lstm",
        "step": 2,
        "steps": 20,
        "loss": 2.5,
        "tokens_per_second": 60.0,
        "seconds_left": 180.0,
    }


def test_one_of_several_processes_says_nothing(capsys):
    display = ProgressDisplay(20, silent=True, clock=Clock(10.0))
    display.advance(step(1))
    display.advance(step(2))
    display.show("a notice")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("slow", [0.5, 2.0])
def test_the_time_left_is_of_all_steps_so_far(slow):
    clock = Clock(slow)
    stopwatch = Stopwatch(100, 0, clock)
    paces = [stopwatch.advance("lstm", 1, lambda: None) for _ in range(100)]
    for number, pace in enumerate(paces, start=1):
        assert pace is None or pace.seconds_left == pytest.approx(slow * (100 - number))
    assert sum(pace is not None for pace in paces) == 99 * slow // 10
    assert any("loss" not in pace_line(pace) for pace in paces if pace)


def test_the_loss_is_not_asked_for_in_between():
    stopwatch = Stopwatch(100, 0, Clock(1.0))
    stopwatch.advance("lstm", 1, lambda: pytest.fail("waits for the device"))
    assert stopwatch.advance("lstm", 1, lambda: pytest.fail("waits for the device")) is None


def test_train_with_json_has_only_json_on_stderr(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES))
    words = ["--model", "gru", "--n-hidden", "8", "--max-steps", "3", "--device", "cpu", "--json"]
    result = CliRunner().invoke(mm_train, [str(path), "-o", str(tmp_path / "run"), *words])
    kinds = [json.loads(line)["kind"] for line in result.stderr.splitlines()]
    assert kinds == ["message"] * 3 + ["start", "evaluation", "evaluation"]
    assert json.loads(result.stdout)["steps"] == 3


def test_the_time_left_includes_what_comes_after_the_last_step():
    stopwatch = Stopwatch(12, 0, Clock(10.0), closing=70.0)
    first, *paces = [stopwatch.advance("lstm", 1, lambda: 2.0) for _ in range(12)]
    assert first is None
    assert [pace.seconds_left for pace in paces] == [10.0 * left + 70 for left in range(10, -1, -1)]


@pytest.mark.parametrize(("model", "times"), [("gru", 10), ("blend", 29)])
def test_what_comes_at_the_end_takes_as_long_as_it_does_now_for_each_token(
    monkeypatch, model, times
):
    monkeypatch.setattr("makemore_export.training.closing._FEW_TOKENS", 10)
    run, _ = planned(model)
    some = EncodedStrings(["anna"] * 8, run.vocabulary)
    dev = EncodedStrings(["anna"] * 1, run.vocabulary)
    splits = {"train": some, "dev": dev, "test": dev}
    seconds = closing_seconds(initial_model(run), splits, Clock(8.0))
    assert seconds == pytest.approx(times)


@pytest.mark.parametrize(("model", "seconds"), [("gru", 160), ("blend", 160), ("ngram", 0)])
def test_all_steps_take_as_long_as_one_does_now(model, seconds):
    run, splits = planned(model)
    train = EncodedStrings(splits["train"], run.vocabulary)
    network = initial_model(run)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    assert steps_seconds(run, network, train, Clock(8.0)) == seconds  # of 20 steps
    assert all(torch.equal(before[name], network.state_dict()[name]) for name in before)


def test_a_step_on_long_strings_is_timed_with_the_tokens_that_it_takes(monkeypatch):
    shapes = []
    monkeypatch.setattr(
        "makemore_export.training.closing._backward",
        lambda _, inputs, __: shapes.append(inputs.shape),
    )
    run, _ = planned("gru", batch_size=4)
    train = EncodedStrings(["an" * 255] * 20, run.vocabulary)
    steps_seconds(run, initial_model(run), train)
    assert {*shapes} == {(2, 511)}  # two of 510 tokens and a stop, of 4 times 256


def test_the_end_of_a_training_on_little_data_is_not_timed():
    run, splits = planned("gru")
    strings = {name: EncodedStrings(lines, run.vocabulary) for name, lines in splits.items()}
    assert closing_seconds(initial_model(run), strings, lambda: pytest.fail("timed")) == 0


def test_a_large_list_is_told_its_memory_and_its_last_evaluations(tmp_path, monkeypatch):
    monkeypatch.setattr("makemore_export.training.closing._FEW_TOKENS", 10)
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    words = ["--model", "gru", "--n-hidden", "8", "--max-steps", "3", "--device", "cpu"]
    result = CliRunner().invoke(
        mm_train, [str(tmp_path / "text.txt"), "-o", str(tmp_path / "run"), *words]
    )
    assert re.search(r"evaluations after the last step: about \d+ s\n", result.stderr)


def test_a_training_stopped_during_its_last_evaluations_does_them_when_it_goes_on(
    tmp_path, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    (tmp_path / "text.txt").write_text("\n".join(LINES))
    words = [str(tmp_path / "text.txt"), "-o", str(tmp_path / "run")]
    small = ["--model", "gru", "--n-hidden", "8", "--max-steps", "3", "--device", "cpu"]
    with monkeypatch.context() as patch:
        patch.setattr("makemore_export.training.loop.mean_nll", stop)
        assert CliRunner().invoke(mm_train, [*words, *small]).exit_code == 130
    assert CliRunner().invoke(mm_train, [*words, "--resume"]).exit_code == 0
    whole = [words[0], "-o", str(tmp_path / "whole"), *small]
    assert CliRunner().invoke(mm_train, whole).exit_code == 0
    assert same(*(RunFolder(tmp_path / name).latest() for name in ("run", "whole")))
