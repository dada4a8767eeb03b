"""Training: what it minimises, and that stopping it changes nothing."""

from __future__ import annotations

import json
import math
from itertools import islice, pairwise

import msgspec
import pytest
import torch
from makemore.errors import DataError, OptionError, TrainingError
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import mean_nll
from makemore_export.models import MODELS
from makemore_export.runs.checkpoint import RunFolder, load
from makemore_export.runs.records import Evaluation, Record, Start, Step
from makemore_export.training import loop
from makemore_export.training.start import check_memory, initial_model
from small_runs import LINES, planned, records, same, trained

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.inference_mode()
def test_loss_is_the_mean_over_all_characters_and_stops():
    run, _ = planned()
    torch.manual_seed(1)
    model = run.new_model()
    for weight in model.parameters():
        weight.normal_(std=0.5)
    vocabulary = run.vocabulary
    total = 0.0
    for line in LINES:
        ids = vocabulary.encode(line)
        logits = model(torch.tensor([[0, *ids]]))[0].double()  # (L + 1, V)
        total -= sum(logits.log_softmax(1)[range(len(ids) + 1), [*ids, 0]].tolist())
    expected = total / sum(len(line) + 1 for line in LINES)
    assert mean_nll(model, EncodedStrings(LINES, vocabulary)) == pytest.approx(expected, rel=1e-6)


def test_training_learns(tmp_path):
    losses = trained(tmp_path, max_steps=150, learning_rate=1e-2).progress.losses
    unigram = trained(tmp_path / "bigram", "bigram").progress.losses
    assert set(losses) == {"train", "dev", "test"}
    assert losses["train"] < unigram["train"] < math.log(len(planned()[0].vocabulary))


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.1},
        {"optimizer": "sgd", "schedule": "step", "clip": 0.5},
        {"average": 0.0},
        {"learning_rate": 0.2, "schedule": "constant", "patience": 1, "max_steps": 40},
    ],
)
def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(tmp_path, options):
    whole = trained(tmp_path / "whole", **options)
    for stop_after in (0, 1, 4, 4, 9):  # before, at and after an evaluation
        _, steps = records(tmp_path / "parts", **options)
        list(islice(steps, stop_after))
        steps.close()
    torch.manual_seed(99)  # what others draw in between does not matter
    assert same(whole, trained(tmp_path / "parts", **options))
    texts = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "parts")]
    logs = [[{**json.loads(line), "seconds": 0} for line in text.splitlines()] for text in texts]
    assert logs[0] == logs[1]


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = trained(tmp_path)
    model, steps = records(tmp_path)
    assert list(steps) == []
    assert all(torch.equal(first.weights[name], w) for name, w in model.state_dict().items())


def test_another_seed_trains_another_model(tmp_path):
    assert same(trained(tmp_path / "a"), trained(tmp_path / "b"))
    one, other = trained(tmp_path / "c", seed=2), load(RunFolder(tmp_path / "a").best)
    assert not torch.equal(one.weights["head.weight"], other.weights["head.weight"])


def test_training_leaves_the_generators_of_torch_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(tmp_path, dropout=0.1)
    assert torch.equal(torch.rand(3), expected)


def test_the_model_ends_with_the_best_weights_and_their_losses(tmp_path):
    model, steps = records(tmp_path, max_steps=150, learning_rate=0.05)
    evaluations = [record for record in steps if isinstance(record, Evaluation)]
    *on_the_way, last = evaluations
    run, splits = planned()
    dev = EncodedStrings(splits["dev"], run.vocabulary)
    assert last.finished
    assert last.losses["dev"] == mean_nll(model, dev) == min(e.losses["dev"] for e in on_the_way)
    assert last.losses["dev"] < on_the_way[-1].losses["dev"]


def test_training_stops_when_patience_ends(tmp_path):
    options = {"learning_rate": 0.2, "schedule": "constant", "max_steps": 500, "patience": 3}
    _, steps = records(tmp_path, **options)
    *on_the_way, _ = (record for record in steps if isinstance(record, Evaluation))
    assert [record.best for record in on_the_way[-4:]] == [True, False, False, False]
    best = [i for i, record in enumerate(on_the_way) if record.best]
    assert all(after - before <= 3 for before, after in pairwise(best))
    assert on_the_way[-1].step < 500


def test_the_weights_evaluated_and_kept_are_the_averaged_ones(tmp_path):
    model, steps = records(tmp_path, average=0.6, learning_rate=0.05, max_steps=11)
    folder = RunFolder(tmp_path)
    average = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for record in steps:
        if isinstance(record, Start) or (isinstance(record, Evaluation) and record.finished):
            continue
        is_step = isinstance(record, Step)
        weights = model.state_dict() if is_step else load(folder.last).weights
        decay = min(0.6, (1 + record.step) / (10 + record.step))
        average = {name: decay * average[name] + (1 - decay) * weights[name] for name in average}
        if not is_step:
            torch.testing.assert_close(model.state_dict(), average, atol=1e-6, rtol=1e-5)
            assert record.best
            assert all(
                torch.equal(w, model.state_dict()[name])
                for name, w in load(folder.best).weights.items()
            )
            assert not torch.equal(weights["head.weight"], average["head.weight"])


def test_the_log_is_the_records(tmp_path):
    _, steps = records(tmp_path)
    logged = [record for record in steps if not isinstance(record, Step)]
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [msgspec.json.decode(line, type=Record) for line in lines] == logged
    assert isinstance(logged[0], Start)
    assert {record.model for record in logged} == {"transformer"}


def test_the_first_record_is_the_loss_of_the_untrained_model(tmp_path):
    model, steps = records(tmp_path)
    run, splits = planned()
    untrained = mean_nll(model, EncodedStrings(splits["train"], run.vocabulary))
    assert next(steps) == Start(model="transformer", loss=untrained, vocab_size=12)
    assert untrained == pytest.approx(math.log(12), abs=0.05)


def test_the_running_loss_is_the_mean_over_the_tokens_since_the_last_evaluation(tmp_path):
    frozen = {"learning_rate": 1e-12, "batch_size": 51, "max_steps": 10}  # all of train each step
    _, steps = records(tmp_path, **frozen)
    first, *rest = steps
    for record in rest:
        if isinstance(record, Evaluation) and not record.finished:
            assert record.running_loss == pytest.approx(first.loss, rel=1e-6)


def test_without_dev_the_train_loss_judges(tmp_path):
    run, _ = planned()
    strings = EncodedStrings(LINES, run.vocabulary)
    model = initial_model(run)
    records = loop.train(model, run, {"train": strings}, RunFolder(tmp_path))
    *_, last = records
    assert set(last.losses) == {"train"}


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    with pytest.raises(TrainingError, match=r"diverged.*lower --learning-rate 1e\+30"):
        trained(tmp_path, learning_rate=1e30)


def test_an_infinite_loss_of_counts_is_told_as_null(tmp_path):
    losses = trained(tmp_path, "bigram", smoothing=0.0, seed=3).progress.losses
    assert losses["train"] is not None
    log = json.loads((tmp_path / "log.jsonl").read_text())
    assert log["losses"] == losses


def test_an_option_of_another_model_is_refused():
    with pytest.raises(OptionError, match="--n-layer does not apply to model bigram"):
        planned("bigram", n_layer=2)
    with pytest.raises(OptionError, match="--smoothing does not apply to model transformer"):
        planned(smoothing=1.0)
    with pytest.raises(OptionError, match="--max-steps does not apply to model bigram"):
        planned("bigram", max_steps=2)


def test_heads_must_share_the_width_evenly():
    with pytest.raises(OptionError, match="n_embd 8 is not a multiple of n_head 3"):
        planned(n_head=3)


def test_a_line_longer_than_the_block_is_refused_by_number():
    number = next(i for i, line in enumerate(LINES, start=1) if len(line) > 4)
    with pytest.raises(DataError, match=f"line {number} has 5 characters; a block of 5 holds 4"):
        planned(block_size=5)
    assert planned(block_size=6)[0].max_length == 5


@pytest.mark.parametrize(
    "options",
    [
        {"model": "mlp", "n_hidden": 1 << 20, "n_embd": 1 << 20},
        {"model": "mlp", "n_hidden": 1 << 20, "n_embd": 1 << 20, "context": 1 << 16},
        {"model": "transformer", "block_size": 1 << 20},
        {"model": "blend", "parts": (("lstm", {"n_hidden": 1 << 20}), ("ngram", {}))},
    ],
)
def test_a_model_that_no_machine_holds_is_refused_before_it_is_made(options):
    run, _ = planned(**options)
    with pytest.raises(
        OptionError, match=r"takes [\d,]{15,} bytes of memory to train|is too large"
    ):
        check_memory(run)


def test_a_model_that_the_machine_holds_is_not_refused():
    for model in MODELS:
        check_memory(planned(model)[0])
