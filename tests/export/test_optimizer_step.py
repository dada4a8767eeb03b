"""A step: gradient, learning rate, optimizer."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from makemore.errors import OptionError
from makemore_export.configs.recipe import Recipe
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.length_bucketing import LengthBuckets
from makemore_export.training.optimizer import rate
from makemore_export.training.optimizer_step import OptimizerStep
from makemore_export.training.start import initial_model
from scipy import stats
from small_runs import planned

PLAIN = {"optimizer": "sgd", "weight_decay": 0.0, "clip": 0.0, "average": 0.0}
NESTEROV = 1.9  # the first step of momentum 0.9, in steps of the gradient


def one_step(learning_rate=0.1, penalty=None, **options):
    """What one step adds to the weights, by name; and the weights and strings before it."""
    run, splits = planned(**options)
    strings = EncodedStrings(splits["train"], run.vocabulary)
    model = initial_model(run)
    if penalty:
        model.penalty = partial(penalty, model)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    OptimizerStep(model, run, strings).step(1, learning_rate)
    moves = {name: weight.detach() - before[name] for name, weight in model.named_parameters()}
    return moves, before, splits["train"]


def gradient(batch_size, penalty=None):
    """That of the first batch, a string at a time: the summed loss over the mean batch's tokens."""
    run, splits = planned()
    lines = splits["train"]
    model = initial_model(run)
    rows = LengthBuckets(
        EncodedStrings(lines, run.vocabulary).lengths.numpy() + 1, batch_size, run.seed
    ).rows(1)
    loss = torch.zeros(())
    for row in rows:
        ids = run.vocabulary.encode(lines[row])
        log_probs = model(torch.tensor([[0, *ids]]))[0].log_softmax(1)  # (L + 1, V)
        loss = loss - log_probs[range(len(ids) + 1), [*ids, 0]].sum()
    tokens = sum(len(line) + 1 for line in lines) / len(lines) * len(rows)
    (loss / tokens + (penalty(model) if penalty else 0)).backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


def close(one, other):
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 8, 999])
def test_a_batch_weighs_as_much_as_its_tokens(batch_size):
    moves, *_ = one_step(**PLAIN, batch_size=batch_size)
    close(moves, {name: -0.1 * NESTEROV * g for name, g in gradient(batch_size).items()})


def test_the_penalty_of_the_model_is_added_to_the_mean_loss():
    def penalty(model):
        return 3 * model.head.weight.square().sum()

    moves, *_ = one_step(**PLAIN, penalty=penalty)
    close(moves, {name: -0.1 * NESTEROV * g for name, g in gradient(8, penalty).items()})


def test_the_loss_of_each_step_is_kept_until_the_mean_is_asked_for():
    run, splits = planned(**PLAIN)
    strings = EncodedStrings(splits["train"], run.vocabulary)
    model = initial_model(run)
    steps = OptimizerStep(model, run, strings)
    sums = []
    for step in (1, 2, 3):
        before = mean_of_batch(model, run, splits["train"], step)
        steps.step(step, 0.1)
        sums.append(before)
    assert steps.step_losses() == pytest.approx(sums, abs=1e-3)
    assert steps.step_losses() == pytest.approx(sums, abs=1e-3)  # asking changes nothing
    steps.mean_loss()
    assert steps.step_losses() == ()


def mean_of_batch(model, run, lines, step):
    """The loss of a step's strings, one at a time."""
    strings = EncodedStrings(lines, run.vocabulary)
    rows = LengthBuckets(strings.lengths.numpy() + 1, run.recipe.batch_size, run.seed).rows(step)
    model.eval()
    nats, tokens = 0.0, 0
    for row in rows:
        ids = run.vocabulary.encode(lines[row])
        with torch.inference_mode():
            log_probs = model(torch.tensor([[0, *ids]]))[0].log_softmax(1)
        nats -= float(log_probs[range(len(ids) + 1), [*ids, 0]].sum())
        tokens += len(ids) + 1
    return nats / tokens


def test_without_momentum_a_step_is_the_gradient_times_the_rate():
    moves, *_ = one_step(**PLAIN, momentum=0.0)
    close(moves, {name: -0.1 * g for name, g in gradient(8).items()})


@pytest.mark.parametrize("scale", [None, 0.25])
def test_weights_may_begin_at_random(scale):
    def begun():
        run, _ = planned("gru", init="normal", init_scale=scale)
        weights = initial_model(run).parameters()
        return torch.cat([weight.detach().flatten() for weight in weights])

    weights = begun()
    wanted = 1.0 if scale is None else scale
    assert float(weights.std()) == pytest.approx(wanted, rel=0.05)
    assert abs(float(weights.mean())) < 0.1 * wanted
    assert stats.kstest(weights.numpy(), "norm", (0, wanted)).pvalue > 1e-4
    assert torch.equal(weights, begun())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 0.5}, "momentum 0.5 is for optimizer sgd"),
        ({"init_scale": 2.0}, "init_scale 2 is for init normal"),
    ],
)
def test_options_of_a_recipe_that_would_do_nothing_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        Recipe(**options)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_only_matrices_decay(optimizer):
    options = {**PLAIN, "optimizer": optimizer}
    free, before, _ = one_step(**options)
    decayed, *_ = one_step(**options | {"weight_decay": 0.5})
    factor = -0.1 * 0.5 * (NESTEROV if optimizer == "sgd" else 1)
    pulls = {name: decayed[name] - free[name] for name in free}
    close(pulls, {name: factor * (w.dim() > 1) * w for name, w in before.items()})


def test_the_gradient_is_clipped_to_its_norm():
    free, *_ = one_step(**PLAIN)
    clipped, *_ = one_step(**PLAIN | {"clip": 0.01})
    norm = torch.cat([move.flatten() for move in free.values()]).norm() / (0.1 * NESTEROV)
    assert norm > 0.1
    close(clipped, {name: move * 0.01 / norm for name, move in free.items()})
    loose, *_ = one_step(**PLAIN | {"clip": 2 * norm.item()})
    close(loose, free)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("cosine", {1: 1 / 21, 20: 20 / 21, 21: 1, 511: 0.5, 1000: 0}),
        ("step", {1: 1 / 21, 21: 1, 500: 1, 501: 0.1, 750: 0.1, 751: 0.01, 1000: 0.01}),
        ("constant", {1: 1 / 21, 21: 1, 1000: 1}),
    ],
)
def test_the_rate_rises_then_falls_by_the_schedule(schedule, rates):
    recipe = Recipe(schedule=schedule, max_steps=1000, warm_up=20, learning_rate=4.0)
    assert {step: rate(step, recipe) for step in rates} == pytest.approx(
        {step: 4 * factor for step, factor in rates.items()}, abs=2e-5
    )


def test_the_rate_rises_for_a_tenth_of_the_steps_at_most():
    short = Recipe(max_steps=50, warm_up=200)
    assert max(range(1, 51), key=lambda step: rate(step, short)) == 6
    assert rate(1, Recipe(max_steps=1, warm_up=200)) == Recipe().learning_rate


def test_bfloat16_is_near_float32_and_not_the_same():
    exact, *_ = one_step(**PLAIN)
    rough, *_ = one_step(**PLAIN, precision="bfloat16")
    assert all(move.dtype == torch.float32 for move in rough.values())
    assert not torch.equal(rough["head.weight"], exact["head.weight"])
    torch.testing.assert_close(rough, exact, atol=1e-3, rtol=0.05)


def test_bfloat16_is_refused_where_it_cannot_be_had():
    run, splits = planned(precision="bfloat16")
    strings = EncodedStrings(splits["train"], run.vocabulary, "meta")
    with pytest.raises(OptionError, match="precision bfloat16 is for cpu and cuda, not for device"):
        OptimizerStep(initial_model(run, "meta"), run, strings)


def test_a_compiled_model_takes_the_same_steps(monkeypatch):
    compiled = []

    def compile_(model, **options):
        compiled.append(model)
        return whole(model, backend="eager", **options)

    whole = torch.compile
    monkeypatch.setattr(torch, "compile", compile_)
    moves, *_ = one_step(compile=True)
    assert len(compiled) == 1
    close(moves, one_step()[0])


def test_where_torch_compile_fails_compile_is_refused_in_a_line(monkeypatch):
    def compile_(model, **options):
        raise RuntimeError("InvalidCxxCompiler: no working C++ compiler\n\nSet TORCH_LOGS for more")

    monkeypatch.setattr(torch, "compile", compile_)
    with pytest.raises(OptionError, match=r"^torch.compile cannot be had here: Inv.* compiler$"):
        one_step(compile=True)
