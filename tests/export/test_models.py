"""Every model of the table, and what is special to each."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from makemore.vocabulary import Vocabulary
from makemore_export.data.encoded_strings import PADDING, EncodedStrings
from makemore_export.data.text import read_text
from makemore_export.evaluation.likelihood import mean_nll
from makemore_export.models import MODELS, CountingModel, new_model
from makemore_export.models.bigram import Bigram, BigramConfig
from makemore_export.models.cnn import GatedConvolution
from makemore_export.models.neural_bigram import NeuralBigram, NeuralBigramConfig
from makemore_export.models.transformer import Transformer, TransformerConfig
from makemore_export.training.choices import options_of
from torch import nn
from torch.nn import functional as F

VOCABULARY = Vocabulary("abcdefghij")
VOCAB_SIZE = len(VOCABULARY)
SIZES = {
    "block_size": 9,
    "context": 4,
    "direct": True,
    "n_embd": 12,
    "n_head": 3,
    "n_hidden": 8,
    "n_layer": 3,
    "order": 3,
}
BLOCK_SIZE = SIZES["block_size"]
COMPONENTS = ("gru", "mlp", "ngram")
TRAINED = [name for name in MODELS if "max_steps" in options_of(name)]


def sizes(name):
    """The smallest config in which all of a model's machinery turns."""
    if name == "blend":
        return {"parts": [{"model": model, "config": sizes(model)} for model in COMPONENTS]}
    return {key: SIZES[key] for key in MODELS[name].Config.__struct_fields__ if key in SIZES}


def random_model(name):
    """A small model, its weights large enough, or its strings few enough, that an error shows."""
    torch.manual_seed(1)
    model = new_model(name, sizes(name), VOCAB_SIZE).eval()
    for module in model.modules():
        if isinstance(module, CountingModel):
            module.fit(random_strings(40), random_strings(10))
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.5)
    return model


def random_strings(n):
    lines = ["".join(VOCABULARY.tokens[i] for i in torch.randint(10, (5,))) for _ in range(n)]
    return EncodedStrings(lines, VOCABULARY)


def zeros(model, rows):
    return [
        torch.zeros(rows, *spec.shape, dtype=getattr(torch, spec.dtype)) for spec in model.states()
    ]


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_step_equals_forward_at_every_position(name, rows):
    model = random_model(name)
    tokens = torch.randint(VOCAB_SIZE, (rows, BLOCK_SIZE))
    state = zeros(model, rows)
    expected = model(tokens)
    for position in range(BLOCK_SIZE):
        logits, *state = model.step(tokens[:, position], torch.full((rows,), position), *state)
        torch.testing.assert_close(logits, expected[:, position], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_the_next_state_has_the_shapes_and_types_that_the_model_tells(name):
    model = random_model(name)
    start = zeros(model, 3)
    _, *state = model.step(torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.int64), *start)
    assert [(x.shape, x.dtype) for x in state] == [(x.shape, x.dtype) for x in start]


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_rows_of_a_step_may_be_at_different_positions(name):
    model = random_model(name)
    tokens = torch.randint(VOCAB_SIZE, (2, BLOCK_SIZE))
    expected = model(tokens)
    state = zeros(model, 2)
    late = zeros(model, 1)
    for position in range(BLOCK_SIZE - 3):  # row 1 starts 3 positions later
        if position == 3:
            state = [torch.cat([rows[:1], fresh]) for rows, fresh in zip(state, late, strict=True)]
        behind = position - 3 if position >= 3 else position
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
    state = [old.normal_() if old.is_floating_point() else old for old in zeros(model, 2)]
    token, position = torch.tensor([3, 4]), torch.tensor([2, 5])
    _, *after = model.step(token, position, *state)
    for spec, old, new in zip(model.states(), state, after, strict=True):
        if spec.time_axis is None:
            continue
        for row in range(2):
            changed = (old[row] != new[row]).movedim(spec.time_axis, 0).flatten(1).any(1)
            assert changed.nonzero().flatten().tolist() == [position[row]]


@pytest.mark.parametrize("name", TRAINED)
def test_the_first_loss_is_that_of_guessing(name):
    lines = read_text().lines[:300]
    strings = EncodedStrings(lines, Vocabulary.of(read_text().lines))
    config = {"block_size": 16} if "block_size" in options_of(name) else {}
    for seed in range(5):
        torch.manual_seed(seed)
        assert mean_nll(new_model(name, config, 27), strings) == pytest.approx(
            math.log(27), abs=0.05
        )


def test_bigram_without_smoothing_has_the_loss_of_the_counts():
    lines = read_text().lines
    strings = EncodedStrings(lines, Vocabulary.of(lines))
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
    strings = EncodedStrings(["ab", "a"], vocabulary)
    smooth = Bigram(BigramConfig(smoothing=1), 4)
    smooth.fit(strings, None)
    expected = np.array([[1, 3, 1, 1], [2, 1, 2, 1], [2, 1, 1, 1], [1, 1, 1, 1]], dtype=float)
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(smooth.logits.exp(), expected, rtol=1e-6)
    sharp = Bigram(BigramConfig(smoothing=0), 4)
    sharp.fit(strings, None)
    assert sharp.logits[0].tolist() == [-math.inf, 0, -math.inf, -math.inf]
    np.testing.assert_allclose(sharp.logits[3].exp(), [0.25] * 4)
    assert mean_nll(sharp, EncodedStrings(["b"], vocabulary)) == math.inf


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


@pytest.mark.parametrize("name", [name for name in TRAINED if "dropout" in options_of(name)])
def test_dropout_works_in_training_only(name):
    torch.manual_seed(1)
    model = new_model(name, {**sizes(name), "dropout": 0.5}, 5)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.5)
    tokens = torch.randint(5, (4, 8))
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_neural_bigram_without_penalty_comes_to_the_probabilities_of_the_counts():
    strings = EncodedStrings(
        ["", "ab", "aab", "bba", "ba"], Vocabulary("ab")
    )  # every pair is there
    counted = Bigram(BigramConfig(smoothing=0), 3)
    counted.fit(strings, None)
    model = NeuralBigram(NeuralBigramConfig(l2=0), 3)
    inputs, targets = strings.batch(torch.arange(5))
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        nll = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=PADDING)
        (nll + model.penalty()).backward()
        return nll

    optimizer.step(loss)
    torch.testing.assert_close(model.logits.softmax(1), counted.logits.exp(), atol=1e-3, rtol=0)


def test_the_penalty_of_neural_bigram_is_the_mean_square_of_its_logits():
    model = NeuralBigram(NeuralBigramConfig(l2=0.5), 2)
    model.load_state_dict({"logits": torch.tensor([[1.0, -2.0], [3.0, 0.0]])})
    assert model.penalty().item() == pytest.approx(0.5 * (1 + 4 + 9 + 0) / 4)


@torch.inference_mode()
def test_mlp_is_the_equation_of_bengio():
    model = random_model("mlp")
    weights = {name: weight.double().numpy() for name, weight in model.state_dict().items()}
    embeddings = weights["embedding.weight"][[0, 3, 1, 4]]  # a window of 4
    x = np.concatenate(embeddings)
    hidden = np.tanh(weights["hidden.bias"] + weights["hidden.weight"] @ x)
    expected = weights["head.bias"] + weights["direct.weight"] @ x + weights["head.weight"] @ hidden
    logits = model(torch.tensor([[2, 0, 3, 1, 4]]))[0, -1]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "seen"), [("neural-bigram", 1), ("mlp", 4), ("cnn", 8)])
@torch.inference_mode()
def test_a_prediction_sees_the_last_tokens_of_its_window_and_no_more(name, seen):
    model = random_model(name)
    tokens = torch.randint(VOCAB_SIZE, (1, BLOCK_SIZE))
    logits = model(tokens)[0, -1]
    for age in range(1, BLOCK_SIZE + 1):
        other = tokens.clone()
        other[0, -age] = (other[0, -age] + 1) % VOCAB_SIZE
        assert torch.equal(model(other)[0, -1], logits) == (age > seen)


@torch.inference_mode()
def test_bow_knows_no_order_of_the_tokens_before_the_last():
    model = random_model("bow")
    logits = model(torch.tensor([[0, 5, 3, 8, 2], [3, 0, 8, 5, 2], [0, 5, 3, 2, 8]]))[:, -1]
    torch.testing.assert_close(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])


@torch.inference_mode()
def test_a_gated_convolution_is_a_dilated_one_through_a_gate():
    torch.manual_seed(1)
    layer = GatedConvolution(6, dilation=4)
    convolution = nn.Conv1d(6, 12, kernel_size=2, dilation=4)
    weight = layer.filter_and_gate.weight.view(12, 2, 6).transpose(1, 2)  # (out, in, kernel)
    convolution.load_state_dict({"weight": weight, "bias": layer.filter_and_gate.bias})
    x = torch.randn(3, 10, 6)
    filtered, gate = convolution(F.pad(x.transpose(1, 2), (4, 0))).transpose(1, 2).chunk(2, dim=2)
    torch.testing.assert_close(layer(x), filtered.tanh() * gate.sigmoid())
