"""Every model of the table, and what is special to each."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import msgspec
import numpy as np
import pytest
import torch
from makemore.vocabulary import Vocabulary
from makemore_export.data import Strings, read_text
from makemore_export.evaluation import mean_nll
from makemore_export.models import MODELS
from makemore_export.models.bigram import Bigram, BigramConfig
from makemore_export.models.transformer import Transformer, TransformerConfig

VOCAB_SIZE = 11
BLOCK_SIZE = 9


def random_model(name):
    """A model of the smallest sizes, with weights large enough that an error shows."""
    cls = MODELS[name]
    sizes = {"block_size": BLOCK_SIZE, "n_layer": 2, "n_embd": 12, "n_head": 3}
    config = {key: sizes[key] for key in cls.Config.__struct_fields__ if key in sizes}
    torch.manual_seed(1)
    model = cls(msgspec.convert(config, cls.Config), VOCAB_SIZE).eval()
    for weight in model.state_dict().values():
        weight.normal_(std=0.5)
    return model


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_step_equals_forward_at_every_position(name, rows):
    model = random_model(name)
    tokens = torch.randint(VOCAB_SIZE, (rows, BLOCK_SIZE))
    state = [torch.zeros(rows, *spec.shape) for spec in model.states()]
    expected = model(tokens)
    for position in range(BLOCK_SIZE):
        logits, *state = model.step(tokens[:, position], torch.full((rows,), position), *state)
        torch.testing.assert_close(logits, expected[:, position], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_rows_of_a_step_may_be_at_different_positions(name):
    model = random_model(name)
    tokens = torch.randint(VOCAB_SIZE, (2, BLOCK_SIZE))
    expected = model(tokens)
    state = [torch.zeros(2, *spec.shape) for spec in model.states()]
    late = [torch.zeros(1, *spec.shape) for spec in model.states()]
    for position in range(BLOCK_SIZE - 3):  # row 1 starts 3 positions later
        if position == 3:
            state = [torch.cat([rows[:1], fresh]) for rows, fresh in zip(state, late, strict=True)]
        behind = max(position - 3, 0)
        at = torch.tensor([position, behind])
        logits, *state = model.step(tokens[[0, 1], at], at, *state)
    torch.testing.assert_close(logits[0], expected[0, position], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits[1], expected[1, behind], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_a_prediction_does_not_see_the_future(name):
    model = random_model(name)
    tokens = torch.randint(VOCAB_SIZE, (3, BLOCK_SIZE))
    other = tokens.clone()
    other[:, 5:] = (other[:, 5:] + 1) % VOCAB_SIZE
    torch.testing.assert_close(model(tokens)[:, :5], model(other)[:, :5])


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_a_state_with_a_time_axis_is_a_cache_that_is_only_added_to(name):
    model = random_model(name)
    state = [torch.randn(2, *spec.shape) for spec in model.states()]
    token, position = torch.tensor([3, 4]), torch.tensor([2, 5])
    _, *after = model.step(token, position, *state)
    for spec, old, new in zip(model.states(), state, after, strict=True):
        if spec.time_axis is None:
            continue
        for row in range(2):
            changed = (old[row] != new[row]).movedim(spec.time_axis, 0).flatten(1).any(1)
            assert changed.nonzero().flatten().tolist() == [position[row]]


def test_bigram_without_smoothing_has_the_loss_of_the_counts():
    lines = read_text().lines
    strings = Strings(lines, Vocabulary.of(lines))
    model = Bigram(BigramConfig(smoothing=0), 27)
    model.fit(strings, None)
    pairs = Counter(pair for line in lines for pair in pairwise(f".{line}."))
    firsts = Counter()
    for (first, _), count in pairs.items():
        firsts[first] += count
    nll = -sum(count * math.log(count / firsts[first]) for (first, _), count in pairs.items())
    assert mean_nll(model, strings) == pytest.approx(nll / sum(pairs.values()), abs=1e-6)


def test_bigram_smooths_and_is_uniform_after_a_character_never_seen():
    vocabulary = Vocabulary("abc")
    strings = Strings(["ab", "a"], vocabulary)
    smooth = Bigram(BigramConfig(smoothing=1), 4)
    smooth.fit(strings, None)
    expected = np.array([[1, 3, 1, 1], [2, 1, 2, 1], [2, 1, 1, 1], [1, 1, 1, 1]], dtype=float)
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(smooth.logits.exp(), expected, rtol=1e-6)
    sharp = Bigram(BigramConfig(smoothing=0), 4)
    sharp.fit(strings, None)
    assert sharp.logits[0].tolist() == [-math.inf, 0, -math.inf, -math.inf]
    np.testing.assert_allclose(sharp.logits[3].exp(), [0.25] * 4)
    assert mean_nll(sharp, Strings(["b"], vocabulary)) == math.inf


def test_transformer_has_the_sizes_and_the_start_of_gpt2():
    torch.manual_seed(1)
    model = Transformer(TransformerConfig(block_size=16), 27)
    assert sum(weight.numel() for weight in model.parameters()) == 204_544
    weights = dict(model.named_parameters())
    assert weights["blocks.0.mlp_up.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert weights["blocks.0.mlp_down.weight"].std().item() == pytest.approx(
        0.02 / math.sqrt(8), rel=0.05
    )
    assert not weights["blocks.0.attention.bias"].any()


def test_dropout_works_in_training_only():
    model = Transformer(TransformerConfig(block_size=8, dropout=0.5), 5)
    tokens = torch.randint(5, (4, 8))
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))
