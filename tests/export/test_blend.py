"""Blends: what a mixture is, how it is weighed, trained and asked for."""

from __future__ import annotations

from itertools import islice

import click
import msgspec
import numpy as np
import pytest
import torch
from makemore.errors import OptionError
from makemore_export.commands.model_options import parse_part
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import log_likelihoods
from makemore_export.models import Blend
from makemore_export.models.blend import mixture_weights
from makemore_export.packing.artifact_folder import export
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.training.choices import options_of
from makemore_export.training.plan import differences
from makemore_export.training.presets import PRESETS
from msgspec.structs import replace
from small_runs import LINES, planned, records, same, trained

COMPONENTS = (("gru", {"n_hidden": 8, "n_embd": 8, "max_steps": 12}), ("ngram", {"order": 3}))


pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_blend_is_the_weighed_mean_of_probabilities(tmp_path):
    model, steps = records(tmp_path, "blend", parts=COMPONENTS)
    list(steps)
    model.eval()
    assert isinstance(model, Blend)
    model.weights.copy_(torch.tensor([0.3, 0.7]))
    tokens = torch.randint(4, (5, 6))
    with torch.inference_mode():
        first, second = (component(tokens).softmax(-1) for component in model.components())
        torch.testing.assert_close(model(tokens).exp(), 0.3 * first + 0.7 * second)


def test_mixture_weights_are_the_best_of_a_grid():
    random = np.random.default_rng(1)
    log_probs = torch.from_numpy(np.log(random.uniform(0.01, 1, (2, 500))))
    weights = mixture_weights(log_probs)
    assert weights.sum().item() == pytest.approx(1)

    def likelihood(first):
        return (log_probs[0].exp() * first + log_probs[1].exp() * (1 - first)).log().mean().item()

    best = max(np.linspace(0, 1, 2001), key=likelihood)
    assert weights[0].item() == pytest.approx(best, abs=1e-3)


def test_a_token_that_no_component_expects_does_not_spoil_the_weights():
    log_probs = torch.tensor([[0.5, 0.0, 0.9], [0.5, 0.0, 0.1]], dtype=torch.float64).log()
    weights = mixture_weights(log_probs)
    assert weights[0] > 0.99
    assert torch.isfinite(weights).all()


def test_weights_are_chosen_on_dev_and_recorded(tmp_path):
    checkpoint = trained(tmp_path, "blend", parts=COMPONENTS)
    weights = checkpoint.weights["weights"]
    assert checkpoint.progress.fitted == {"weights": [round(w, 4) for w in weights.tolist()]}
    assert checkpoint.progress.step == 12
    runs = [RunFolder(tmp_path / "parts" / name).latest() for name in ("0-gru", "1-ngram")]
    alone = min(run.progress.losses["dev"] for run in runs)
    assert checkpoint.progress.losses["dev"] < alone + 1e-5  # the weights are found to 1e-6


def test_a_part_alone_is_judged_on_the_lines_that_the_blend_held_out(tmp_path):
    trained(tmp_path / "run", "blend", parts=COMPONENTS)
    part = RunFolder(tmp_path / "run" / "parts" / "1-ngram").latest()
    report = export(part, tmp_path / "artifact", precision="float16", lines=LINES)
    told = part.progress.losses["test"]
    assert report.float16_losses == {"test": pytest.approx(told, abs=1e-3)}


def test_a_resumed_blend_ends_with_the_bits_of_an_uninterrupted_one(tmp_path):
    whole = trained(tmp_path / "whole", "blend", parts=COMPONENTS)
    for stop_after in (4, 9):
        _, steps = records(tmp_path / "again", "blend", parts=COMPONENTS)
        list(islice(steps, stop_after))
        steps.close()
    assert same(whole, trained(tmp_path / "again", "blend", parts=COMPONENTS))


def test_a_blend_from_before_there_was_an_option_is_the_same_run():
    run, _ = planned("blend", parts=COMPONENTS)
    old = msgspec.json.decode(msgspec.json.encode(run.config))
    del old["parts"][0]["recipe"]["stop_at"]
    assert differences(replace(run, config=old), run) == []
    del old["parts"][1]
    old["parts"].append(old["parts"][0])
    assert differences(replace(run, config=old), run) != []


def test_two_components_of_one_kind_start_from_seeds_of_their_own(tmp_path):
    model, steps = records(tmp_path, "blend", parts=(COMPONENTS[0], COMPONENTS[0]))
    list(steps)
    first, second = model.components()
    assert not torch.equal(first.head.weight, second.head.weight)


def test_options_go_to_each_component_that_takes_them():
    run, _ = planned("blend", parts=COMPONENTS, n_embd=4, learning_rate=0.5)
    gru, ngram = run.config["parts"]
    assert (gru["config"]["n_embd"], gru["recipe"]["learning_rate"]) == (8, 0.5)  # its own is first
    assert ngram["config"]["order"] == 3
    with pytest.raises(OptionError, match="--n-head applies to no component of the blend"):
        planned("blend", parts=COMPONENTS, n_head=2)
    with pytest.raises(OptionError, match="2 components or more; --part was given 1 times"):
        planned("blend", parts=COMPONENTS[:1])


def test_a_component_is_read_from_its_model_and_options():
    assert parse_part("ngram") == ("ngram", {})
    assert parse_part("lstm:n-hidden=8, dropout=0.5") == (
        "lstm",
        {"n_hidden": "8", "dropout": "0.5"},
    )
    with pytest.raises(click.BadParameter, match="must begin with a model"):
        parse_part("blend")
    with pytest.raises(click.BadParameter, match="'order' is no option of lstm"):
        parse_part("lstm:order=3")
    with pytest.raises(OptionError, match="--dropout is 2: "):
        planned("blend", parts=(parse_part("lstm:dropout=2"), ("ngram", {})))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_hold_options_that_their_models_take(preset):
    options = dict(PRESETS[preset])
    run, _ = planned(options.pop("model"), **options)
    assert run.new_model().states()
    for model, own in options.get("parts", ()):
        assert set(own) <= set(options_of(model))


def test_log_likelihoods_of_components_are_of_the_same_tokens_in_the_same_order(tmp_path):
    model, steps = records(tmp_path, "blend", parts=(("bigram", {}), ("bigram", {})))
    list(steps)
    run, splits = planned("blend", parts=(("bigram", {}), ("bigram", {})))
    strings = EncodedStrings(splits["dev"], run.vocabulary)
    one, other = (log_likelihoods(component, strings) for component in model.components())
    assert torch.equal(one, other)
    assert len(one) == sum(len(line) + 1 for line in splits["dev"])
