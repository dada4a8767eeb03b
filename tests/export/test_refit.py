"""A refit: what was chosen on dev is trained anew on train and dev."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import islice

import makemore
import pytest
from commands import run as command
from makemore.errors import OptionError
from makemore_export.commands.export import main as mm_export
from makemore_export.commands.inspect import main as mm_inspect
from makemore_export.commands.run_planning import planned as planned_run
from makemore_export.commands.train import main as mm_train
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.splits import split
from makemore_export.data.text import read_text
from makemore_export.packing.artifact_folder import export
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.runs.records import Evaluation
from makemore_export.training.loop import train
from makemore_export.training.start import initial_model
from msgspec.structs import replace
from small_runs import LINES, planned, same, trained

OVERFITTING = {"max_steps": 40, "learning_rate": 0.3, "schedule": "constant", "average": 0.0}
COMPONENTS = (("gru", {"n_hidden": 8, "n_embd": 8, "max_steps": 12}), ("ngram", {"order": 3}))
SMALL = ["--model", "gru", "--n-hidden", "8", "--n-embd", "8", "--max-steps", "3"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _evaluated_often(monkeypatch):
    monkeypatch.setattr("makemore_export.training.gradient.EVALUATE_EVERY", 5)


def refitting(folder, model, **options):
    """The generator that trains a run with refit in `folder`, from its latest checkpoint on."""
    run, splits = planned(model, **options)
    run = replace(run, refit=True)
    strings = {name: EncodedStrings(lines, run.vocabulary) for name, lines in splits.items()}
    return train(initial_model(run), run, strings, RunFolder(folder), RunFolder(folder).latest())


def refitted(folder, model, **options):
    for _ in refitting(folder, model, **options):
        pass
    return RunFolder(folder).latest()


def trained_on_both(folder, model, **options):
    """A plain run whose train split is train and dev of the others."""
    run, _ = planned(model, **options)
    splits = split(LINES, (90.0, 0.0, 10.0), run.seed)
    strings = {name: EncodedStrings(lines, run.vocabulary) for name, lines in splits.items()}
    for _ in train(initial_model(run), run, strings, RunFolder(folder)):
        pass
    return RunFolder(folder).latest()


def test_a_refit_has_the_bits_of_a_run_on_train_and_dev_of_as_many_steps_as_were_best(tmp_path):
    found = refitted(tmp_path / "refit", "gru", **OVERFITTING)
    chosen = trained(tmp_path / "first", "gru", **OVERFITTING)
    best = chosen.progress.best_step
    assert 0 < best < 40
    both = trained_on_both(tmp_path / "both", "gru", stop_at=best, **OVERFITTING)
    assert found.progress.step == best
    assert found.progress.losses == {
        "train and dev": both.progress.losses["train"],
        "test": both.progress.losses["test"],
        "dev before the refit": chosen.progress.losses["dev"],
    }
    assert all(bool((found.weights[name] == both.weights[name]).all()) for name in both.weights)


@pytest.mark.parametrize(
    ("model", "options"),
    [("bigram", {}), ("ngram", {"method": "additive"}), ("ngram", {"method": "kneser-ney"})],
)
def test_a_model_that_counts_counts_dev_too_with_what_was_chosen(tmp_path, model, options):
    found = refitted(tmp_path / "refit", model, **options)
    fitted = trained(tmp_path / "first", model, **options).progress.fitted
    assert found.progress.fitted == fitted
    both = trained_on_both(tmp_path / "both", model, **options, **fitted)
    assert found.progress.losses["test"] == both.progress.losses["test"]
    assert all(bool((found.weights[name] == both.weights[name]).all()) for name in both.weights)


def test_a_blend_keeps_its_weights_and_each_component_is_refitted(tmp_path):
    found = refitted(tmp_path / "refit", "blend", parts=COMPONENTS)
    first = trained(tmp_path / "first", "blend", parts=COMPONENTS)
    assert found.progress.fitted == first.progress.fitted
    assert bool((found.weights["weights"] == first.weights["weights"]).all())
    assert found.progress.losses["dev before the refit"] == first.progress.losses["dev"]
    gru, ngram = RunFolder(tmp_path / "refit").refit.components()
    for i, component in enumerate((gru, ngram)):
        for name, weight in component.latest().weights.items():
            assert bool((found.weights[f"parts.{i}.{name}"] == weight).all())
    both = trained_on_both(tmp_path / "both", "ngram", order=3)
    assert ngram.latest().progress.losses["train"] == both.progress.losses["train"]


@pytest.mark.parametrize("model", ["gru", "bigram", "blend"])
def test_test_is_evaluated_once_at_the_end(tmp_path, model):
    records = [r for r in refitting(tmp_path, model) if isinstance(r, Evaluation)]
    assert [r for r in records if "test" in r.losses] == [records[-1]]
    assert "dev" not in records[-1].losses


@pytest.mark.parametrize(
    ("model", "options"),
    [("gru", OVERFITTING), ("blend", {"parts": COMPONENTS}), ("bigram", {})],
)
def test_a_resumed_refit_ends_with_the_bits_of_an_uninterrupted_one(tmp_path, model, options):
    whole = refitted(tmp_path / "whole", model, **options)
    count = len([*refitting(tmp_path / "count", model, **options)])
    for taken in range(1, count, 1 + count // 8):
        folder = tmp_path / str(taken)
        with closing(refitting(folder, model, **options)) as records:
            assert len([*islice(records, taken)]) == taken
        assert same(whole, refitted(folder, model, **options))
    log = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    resumed = (folder / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in resumed] == [
        json.loads(line)["kind"] for line in log
    ]


def test_a_finished_refit_is_not_trained_again(tmp_path):
    refitted(tmp_path, "gru")
    assert [*refitting(tmp_path, "gru")] == []


@pytest.mark.parametrize("percents", ["100", "90/0/10"])
def test_a_refit_without_dev_is_refused_with_the_reason(tmp_path, percents):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    for each in (mm_train, mm_export):
        words = (tmp_path / "text.txt", "-o", tmp_path / "out", "--refit", "--split", percents)
        _, error = command(each, *words, *SMALL, code=2)
        assert "chosen on dev, of which --split" in error
    with pytest.raises(OptionError, match="leaves none"):
        planned_run(read_text(tmp_path / "text.txt"), {"refit": True, "split": (90, 0, 10)}, None)


@pytest.mark.parametrize("words", [("--sweep", "max-steps=2,3"), ("--find-lr",)])
def test_a_refit_of_what_is_not_chosen_yet_is_refused(tmp_path, words):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    arguments = (tmp_path / "text.txt", "-o", tmp_path / "out", "--refit", *words, *SMALL)
    _, error = command(mm_train, *arguments, code=2)
    assert "--refit is for the run that is chosen" in error


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"preset": "best"}, True),
        ({"preset": "best", "refit": False}, False),
        ({"preset": "best", "split": (100.0, 0.0, 0.0)}, False),
        ({"preset": "fast"}, False),
        ({"preset": "fast", "refit": True}, True),
        ({}, False),
    ],
)
def test_preset_best_refits_where_there_is_dev(tmp_path, given, expected):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    run, _ = planned_run(read_text(tmp_path / "text.txt"), given, None)
    assert run.refit is expected


def test_the_command_tells_both_trainings_and_goes_on_without_being_told(tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    words = (tmp_path / "text.txt", "-o", tmp_path / "run")
    _, error = command(mm_train, *words, "--refit", *SMALL)
    lines = error.splitlines()
    assert any(
        line.startswith("chosen with dev ")
        and line.endswith("; now the same on the 58 lines of train and dev, 3 steps")
        for line in lines
    )
    assert any(line.startswith("refit: gru: step      3  train 2.") for line in lines)
    assert "  train and dev 2." in lines[-2]
    assert "  dev before the refit 2." in lines[-2]
    command(mm_train, *words, "--resume")
    _, error = command(mm_train, *words, "--resume", "--no-refit", code=2)
    assert "refit True, now False" in error


def test_card_report_and_inspect_say_that_it_was_refitted(tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    out = tmp_path / "out"
    command(mm_export, tmp_path / "text.txt", "-o", out, "--refit", "--samples", "0", *SMALL)
    card = (out / "README.md").read_text()
    assert "refitted on train and dev" in card
    assert "| dev before the refit | 2." in card
    assert "| dev |" not in card
    report = json.loads((out / "report.json").read_text())
    assert report["losses"].keys() == {"train and dev", "test", "dev before the refit"}
    for source in (out, tmp_path / "out.run"):
        shown, _ = command(mm_inspect, source, "--json")
        assert json.loads(shown)["refitted on"] == "train and dev"


def test_lines_of_dev_count_as_known_after_a_refit(tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    words = ["--refit", "--model", "ngram", "--order", "6", "--device", "cpu"]
    command(mm_train, tmp_path / "text.txt", "-o", tmp_path / "run", *words)
    progress = RunFolder(tmp_path / "run").latest().progress
    novelty = progress.novelty
    made = makemore.load(tmp_path / "run").sample(1000, seed=1, min_length=0)
    splits = split(LINES, (80.0, 10.0, 10.0), 1)
    known = {*splits["train"], *splits["dev"]}
    assert novelty.in_train == sum(sample in known for sample in made)
    assert novelty.held_out == sum(sample in {*splits["test"]} for sample in made)
    assert novelty.memorised.losses.keys() == {"test"}
    assert " in train and dev, " in str(novelty)
    assert "is on strings of train and dev; " in str(novelty.memorised)


@pytest.mark.parametrize(("percents", "name"), [((80, 10, 10), "test"), ((90, 10, 0), None)])
def test_the_loss_in_float16_is_not_told_as_that_of_dev(tmp_path, percents, name):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    words = ("--refit", "--model", "bigram", "--split", "/".join(map(str, percents)))
    command(mm_train, tmp_path / "text.txt", "-o", tmp_path / "run", *words)
    checkpoint = RunFolder(tmp_path / "run").latest()
    report = export(checkpoint, tmp_path / "artifact", precision="float16", lines=LINES)
    name = name or "train and dev"
    told = checkpoint.progress.losses[name]
    assert report.float16_losses == {name: pytest.approx(told, abs=1e-3)}


def test_pictures_show_both_trainings(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from makemore_export.plots import run_plots

    drawn = []
    monkeypatch.setattr(run_plots, "loss_plot", lambda logs, *_, **__: drawn.extend(logs) or "none")
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    command(mm_train, tmp_path / "text.txt", "-o", tmp_path / "run", "--refit", *SMALL)
    run_plots.draw(tmp_path / "run", tmp_path / "pictures")
    assert drawn == ["gru", "refit: gru"]


def test_stop_at_keeps_the_weights_of_that_step_whatever_dev_says(tmp_path):
    whole = trained(tmp_path / "whole", "gru", **OVERFITTING)
    best = whole.progress.best_step
    at = trained(tmp_path / "at", "gru", stop_at=best, **OVERFITTING)
    later = trained(tmp_path / "later", "gru", stop_at=best + 5, **OVERFITTING)
    assert at.progress.losses == whole.progress.losses
    assert later.progress.step == best + 5
    assert later.progress.losses["dev"] > whole.progress.losses["dev"]


def test_stop_at_above_max_steps_is_refused():
    with pytest.raises(OptionError, match="stop_at 21 is above max_steps 20"):
        planned("gru", stop_at=21)
