"""Training towards what an n-gram of the other strings expects."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from commands import run as run_command
from makemore.errors import OptionError
from makemore_export.commands.train import main as mm_train
from makemore_export.configs.model_configs import NgramConfig
from makemore_export.data import scratch
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models.ngram import Ngram
from makemore_export.runs.header import read_header
from makemore_export.training.ngram_targets import FOLDS, NgramTargets
from makemore_export.training.optimizer_step import OptimizerStep
from makemore_export.training.start import initial_model
from small_runs import LINES, planned, records, same, trained

PLAIN = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "clip": 0.0, "average": 0.0}


def encoded(lines, vocabulary):
    return EncodedStrings(lines, vocabulary)


def expected_of(lines, vocabulary):
    """For each string the probabilities (L + 1, V) of an n-gram of the strings of other folds."""
    found = []
    for i, line in enumerate(lines):
        others = [
            other
            for j, other in enumerate(lines)
            if j * FOLDS // len(lines) != i * FOLDS // len(lines)
        ]
        ngram = Ngram(NgramConfig(), len(vocabulary))
        ngram.fit(encoded(others, vocabulary), None)
        found.append(ngram(torch.tensor([[0, *vocabulary.encode(line)]]))[0].exp())
    return found


def softened_by_hand(lines, vocabulary, logits, rows, share):
    expected = expected_of(lines, vocabulary)
    total = torch.zeros(())
    for place, row in enumerate(rows):
        ids = [*vocabulary.encode(lines[row]), 0]
        for position, token in enumerate(ids):
            aim = share * expected[row][position]
            aim[token] += 1 - share
            total -= (aim * logits[place, position].log_softmax(0)).sum()
    return total


@pytest.fixture(params=["in memory", "in a mapped file"])
def kept(request, monkeypatch):
    if request.param != "in memory":
        monkeypatch.setattr(scratch, "IN_MEMORY", 100)


def test_a_share_of_what_is_aimed_at_is_the_ngram_of_the_other_strings(kept):
    run, splits = planned()
    lines, vocabulary = [*splits["train"]], run.vocabulary
    strings = encoded(lines, vocabulary)
    rows = torch.tensor([5, 0, len(lines) - 1, 17])
    _, targets = strings.batch(rows)
    logits = torch.randn(
        *targets.shape, len(vocabulary), generator=torch.Generator().manual_seed(1)
    )
    nats = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum"
    )
    found = NgramTargets(strings, 0.3).softened(nats, logits, targets, rows)
    wanted = softened_by_hand(lines, vocabulary, logits, rows.tolist(), 0.3)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=0)


def test_a_step_follows_the_gradient_of_what_is_aimed_at():
    run, splits = planned(**PLAIN, ngram_targets=0.4, batch_size=999)
    lines, vocabulary = [*splits["train"]], run.vocabulary
    strings = encoded(lines, vocabulary)
    model = initial_model(run)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    twin = initial_model(run)
    inputs, _ = strings.batch(torch.arange(len(lines)))
    loss = softened_by_hand(lines, vocabulary, twin(inputs), range(len(lines)), 0.4)
    (loss / strings.token_count).backward()
    step = OptimizerStep(model, run, strings)
    step.step(1, 0.1)
    for name, weight in model.named_parameters():
        wanted = before[name] - 0.1 * dict(twin.named_parameters())[name].grad
        torch.testing.assert_close(weight.detach(), wanted, rtol=1e-4, atol=2e-5)


def test_the_loss_that_is_told_is_of_the_tokens_alone():
    run, splits = planned(**PLAIN, ngram_targets=0.4)
    plain, _ = planned(**PLAIN)
    strings = encoded(splits["train"], run.vocabulary)
    steps = [OptimizerStep(initial_model(each), each, strings) for each in (run, plain)]
    for each in steps:
        each.step(1, 0.1)
    assert steps[0].running_loss() == steps[1].running_loss()


def test_a_run_that_stopped_goes_on_as_if_it_had_not(tmp_path):
    options = {"model": "gru", "ngram_targets": 0.5, "max_steps": 12}
    whole = trained(tmp_path / "whole", **options)
    _, some = records(tmp_path / "parts", **options)
    for _ in islice(some, 5):
        pass
    some.close()
    assert same(trained(tmp_path / "parts", **options), whole)
    assert not same_weights(whole, trained(tmp_path / "plain", model="gru", max_steps=12))


def same_weights(one, other):
    return all(bool((one.weights[name] == other.weights[name]).all()) for name in one.weights)


def test_one_string_has_no_others():
    run, _ = planned()
    with pytest.raises(OptionError, match="ngram_targets needs 2 lines to train on"):
        NgramTargets(encoded(["dira"], run.vocabulary), 0.2)


def test_the_command_takes_a_share_and_the_run_keeps_it(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")
    words = [tmp_path / "lines.txt", "-o", tmp_path / "run", "--ngram-targets", "0.2"]
    sizes = ["--n-hidden", "8", "--max-steps", "3"]
    run_command(mm_train, *words, "--model", "gru", *sizes)
    assert read_header(tmp_path / "run" / "best.safetensors").run.recipe.ngram_targets == 0.2
    _, told = run_command(mm_train, *words, "--model", "ngram", code=2)
    assert "ngram" in told
    assert "ngram_targets" in told or "--ngram-targets" in told
