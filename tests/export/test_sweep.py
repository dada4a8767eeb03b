"""`mm-train --sweep`: what an option does to the losses of train and dev."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from commands import run
from makemore.errors import OptionError
from makemore_export.commands.export import main as mm_export
from makemore_export.commands.run_training import Interrupts
from makemore_export.commands.train import main as mm_train
from makemore_export.plots import sweep_plot
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.training.sweep import SweepRun, best_of, parse_sweep
from small_runs import LINES

NGRAM = ("--model", "ngram", "--order", "3", "--method", "additive")
GRU = ("--model", "gru", "--n-hidden", "8", "--max-steps", "4", "--device", "cpu")


def mm(tmp_path, *words):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    return CliRunner().invoke(mm_train, [str(tmp_path / "text.txt"), *map(str, words)])


@pytest.mark.parametrize(
    ("text", "option", "values"),
    [
        ("smoothing=0.1,1, 10", "smoothing", ("0.1", "1", "10")),
        ("--n-hidden=8,8,16", "n_hidden", ("8", "16")),
        ("smoothing=0.001..10:5", "smoothing", ("0.001", "0.01", "0.1", "1", "10")),
        ("n-hidden=4..64:5", "n_hidden", ("4", "8", "16", "32", "64")),
        ("optimizer=adamw,sgd", "optimizer", ("adamw", "sgd")),
    ],
)
def test_a_list_or_a_range_of_values_is_parsed(text, option, values):
    sweep = parse_sweep(text)
    assert (sweep.option, sweep.values) == (option, values)


def test_a_range_has_nine_values_where_it_does_not_say_how_many():
    assert len(parse_sweep("smoothing=0.001..10").values) == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smoothness=1,2", "'smoothness' is not one of"),
        ("parts=1,2", "'parts' is not one of"),
        ("smoothing", "'' is no value"),
        ("smoothing=1", "1 values; 2 to 100 can be compared"),
        ("smoothing=1,a/x", "'a/x' is no value"),
        ("smoothing=0..1", "a range is LOW..HIGH"),
        ("smoothing=2..1", "a range is LOW..HIGH"),
        ("smoothing=a..b", "a range is LOW..HIGH"),
        ("smoothing=1..nan", "a range is LOW..HIGH"),
        ("smoothing=1..2:1000", "COUNT from 2 to 100"),
    ],
)
def test_what_is_no_sweep_is_refused(text, message):
    with pytest.raises(OptionError) as refusal:
        parse_sweep(text)
    assert message in str(refusal.value)


def test_a_sweep_has_the_losses_of_runs_made_one_by_one_but_for_test(tmp_path):
    result = mm(
        tmp_path, "-o", tmp_path / "sweep", *NGRAM, "--sweep", "smoothing=0.01,0.1,9", "--json"
    )
    found = json.loads(result.stdout)
    losses = {}
    for value in ("0.01", "0.1", "9"):
        alone = mm(tmp_path, "-o", tmp_path / value, *NGRAM, "--smoothing", value, "--json")
        losses[value] = json.loads(alone.stdout)["losses"]
    assert [(run["value"], run["train"], run["dev"]) for run in found["runs"]] == [
        (value, each["train"], each["dev"]) for value, each in losses.items()
    ]
    assert found["best"] == min(losses, key=lambda value: losses[value]["dev"])
    assert set(found["runs"][0]) == {"value", "train", "dev", "steps", "seconds", "folder"}
    for path in (tmp_path / "sweep").rglob("log.jsonl"):
        assert '"test"' not in path.read_text()
    lines = (tmp_path / "sweep" / "sweep.jsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == found["runs"]


def test_the_chosen_run_is_tested_once_on_request(tmp_path):
    mm(tmp_path, "-o", tmp_path / "sweep", *NGRAM, "--sweep", "smoothing=0.1,9")
    chosen = tmp_path / "sweep" / "smoothing=0.1"
    before = RunFolder(chosen).latest()
    assert set(before.progress.losses) == {"train", "dev"}
    assert mm(tmp_path, "-o", chosen, "--resume").exit_code == 0
    after = RunFolder(chosen).latest()
    mm(tmp_path, "-o", tmp_path / "alone", *NGRAM, "--smoothing", "0.1")
    assert after.progress.losses == RunFolder(tmp_path / "alone").latest().progress.losses
    log = (chosen / "log.jsonl").read_text()
    assert mm(tmp_path, "-o", chosen, "--resume").exit_code == 0
    assert (chosen / "log.jsonl").read_text() == log


def test_a_table_marks_the_lowest_dev_loss(tmp_path):
    result = mm(tmp_path, "-o", tmp_path / "sweep", *NGRAM, "--sweep", "smoothing=0.1,1000")
    head, first, second = result.stdout.splitlines()
    assert head.split() == ["smoothing", "train", "dev", "steps", "seconds"]
    assert first.endswith("  lowest dev")
    assert second.split()[0] == "1000"
    assert "--resume" in result.stderr


@contextmanager
def interrupted_at_once():
    found = Interrupts()
    found.noted = True
    yield found


def test_a_stopped_sweep_goes_on_and_ends_as_one_that_was_not(tmp_path, monkeypatch):
    words = (*GRU, "--sweep", "learning_rate=0.001,0.01")
    with monkeypatch.context() as patch:
        patch.setattr("makemore_export.commands.sweep.interrupts", interrupted_at_once)
        assert mm(tmp_path, "-o", tmp_path / "a", *words).exit_code == 130
    assert mm(tmp_path, "-o", tmp_path / "a", *words).exit_code == 0
    assert mm(tmp_path, "-o", tmp_path / "b", *words).exit_code == 0
    for name in ("learning_rate=0.001", "learning_rate=0.01"):
        one, two = (RunFolder(tmp_path / folder / name).latest() for folder in "ab")
        assert one.progress.losses == two.progress.losses
    changed = mm(tmp_path, "-o", tmp_path / "a", *words, "--seed", "9")
    assert "seed 1, now 9" in changed.stderr


SEARCH = ("--sweep", "smoothing=0.01,0.1,9,100", "--sweep", "order=2,3,4")


def searched(tmp_path, name, trials, *more):
    words = ("--model", "ngram", "--method", "additive", *SEARCH, "--trials", trials, "--json")
    result = mm(tmp_path, "-o", tmp_path / name, *words, *more)
    assert result.exit_code == 0, result.stderr
    assert all(json.loads(line)["kind"] for line in result.stderr.splitlines())
    return json.loads(result.stdout)


def test_a_search_finds_the_values_that_are_best_together(tmp_path):
    pytest.importorskip("optuna")
    found = searched(tmp_path, "search", 40)
    losses = {}
    for smoothing in ("0.01", "0.1", "9", "100"):
        for order in ("2", "3", "4"):
            words = ("--model", "ngram", "--method", "additive", "--order", order, "--json")
            folder = tmp_path / f"{smoothing},{order}"
            alone = mm(tmp_path, "-o", folder, "--smoothing", smoothing, *words)
            dev = json.loads(alone.stdout)["losses"]["dev"]
            losses[f"smoothing={smoothing},order={order}"] = dev
    assert len(found["runs"]) == 40
    assert all(run["dev"] == losses[run["value"]] for run in found["runs"])
    assert found["best"] == min(losses, key=losses.get)
    for path in (tmp_path / "search").rglob("log.jsonl"):
        assert '"test"' not in path.read_text()


def test_a_search_goes_on_where_it_stopped(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    words = (*GRU, "--sweep", "learning_rate=0.001,0.01,0.1", "--sweep", "n_embd=4,8,16")

    def runs_after(trials):
        found = mm(tmp_path, "-o", tmp_path / "search", *words, "--trials", trials, "--json")
        return json.loads(found.stdout)["runs"]

    with monkeypatch.context() as patch:
        patch.setattr("makemore_export.commands.search.interrupts", interrupted_at_once)
        stopped = mm(tmp_path, "-o", tmp_path / "search", *words, "--trials", 2)
    assert stopped.exit_code == 130
    (begun,) = (path.name for path in (tmp_path / "search").iterdir() if path.is_dir())
    runs = runs_after(2)
    assert len(runs) == 2
    assert runs[0]["value"] == begun
    assert runs_after(3)[:2] == runs


def test_a_search_shows_its_best_runs_first(tmp_path):
    pytest.importorskip("optuna")
    words = ("--model", "ngram", "--method", "additive", *SEARCH, "--trials", 4)
    result = mm(tmp_path, "-o", tmp_path / "search", *words)
    count, head, *runs = result.stdout.splitlines()
    assert count == "4 trials"
    assert head.split() == ["train", "dev", "steps", "seconds"]
    devs = [float(run.split()[1]) for run in runs]
    assert devs == sorted(devs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*SEARCH[:2], "--sweep", "smoothing=1,2"], "--sweep is given twice for one option"),
        ([*SEARCH[:2], "--trials", "3"], "--trials 3 is for a search: several --sweep"),
        ([*SEARCH, "--order", "3"], "order is given a value of its own, too"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(tmp_path, words, message):
    pytest.importorskip("optuna")
    result = mm(tmp_path, "-o", tmp_path / "run", "--model", "ngram", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_search_of_other_values_is_not_gone_on_with(tmp_path):
    pytest.importorskip("optuna")
    searched(tmp_path, "search", 2)
    words = ("--model", "ngram", "--method", "additive", *SEARCH[:2], "--sweep", "order=2,3")
    result = mm(tmp_path, "-o", tmp_path / "search", *words)
    assert result.exit_code == 2
    assert "holds a search of other values" in result.stderr


def test_a_search_needs_optuna(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    words = ("--model", "ngram", "--method", "additive", *SEARCH)
    result = mm(tmp_path, "-o", tmp_path / "run", *words)
    assert result.exit_code == 2
    assert "pip install 'makemore[search]'" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sweep", "n_hidden=4,8", "--n-hidden", "4"], "is given a value of its own"),
        (["--sweep", "n_hidden=4,8", "--split", "100"], "of which --split leaves none"),
        (["--sweep", "n_hidden=4,8", "--resume"], "not with --resume"),
        (["--sweep", "n_hidden=4,8", "--find-lr"], "not with --find-lr"),
        (["--sweep", "smoothing=1,2"], "does not apply to model gru"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(tmp_path, words, message):
    result = mm(tmp_path, "-o", tmp_path / "run", "--model", "gru", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_first_of_the_lowest_dev_losses_is_the_best():
    runs = [
        SweepRun(value=str(i), train=1.0, dev=dev, steps=1, seconds=1.0, folder="")
        for i, dev in enumerate([None, 2.0, 1.5, 1.5])
    ]
    assert best_of(runs).value == "2"
    assert best_of(runs[:1]).value == "0"


@pytest.mark.parametrize(
    ("values", "scale"),
    [(["0.1", "1", "10"], "log"), (["a", "b", "c"], "linear"), (["0", "1", "2"], "linear")],
)
def test_the_plot_has_train_and_dev_on_an_axis_that_suits_the_values(values, scale):
    axes = sweep_plot(
        "x", [(value, 1.0, None if i == 1 else 2.0 - i) for i, value in enumerate(values)]
    ).axes[0]
    assert axes.get_xscale() == scale
    train, dev, lowest = axes.lines
    assert list(train.get_ydata()) == [1.0] * 3
    assert [dev.get_ydata()[i] for i in (0, 2)] == [2.0, 0.0]
    assert lowest.get_label() == f"lowest dev, {values[2]}"


def test_the_folder_of_a_sweep_is_no_run_to_export(tmp_path):
    mm(tmp_path, "-o", tmp_path / "sweep", *NGRAM, "--sweep", "smoothing=0.1,9")
    refused = run(mm_export, tmp_path / "sweep", "-o", tmp_path / "out", code=2)[1]
    folder = tmp_path / "sweep"
    assert f"{folder}: holds the 2 runs of a sweep; name one of them: {folder}/OPTION=" in refused
    assert f"such as {folder}/smoothing=0.1\n" in refused
    run(mm_export, folder / "smoothing=0.1", "-o", tmp_path / "out")


def test_with_json_a_sweep_without_matplotlib_has_only_json_on_stderr(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "makemore_export.plots", None)
    words = ("-o", tmp_path / "sweep", *NGRAM, "--sweep", "smoothing=0.1,9", "--json")
    lines = [json.loads(line) for line in mm(tmp_path, *words).stderr.splitlines()]
    assert [line["text"].partition(":")[0] for line in lines] == [
        "smoothing=0.1",
        "smoothing=9",
        "for a plot of the sweep",
    ]
