"""The counting models, against counts in dictionaries and the formulas of the papers."""

from __future__ import annotations

import math
from collections import Counter

import makemore
import numpy as np
import pytest
import torch
from makemore.errors import OptionError
from makemore.vocabulary import Vocabulary
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.splits import split
from makemore_export.data.text import read_text
from makemore_export.evaluation.likelihood import mean_nll
from makemore_export.models import ngram as ngrams
from makemore_export.models.bigram import Bigram, BigramConfig
from makemore_export.models.kneser_ney import discounts_of
from makemore_export.models.ngram import Ngram, NgramConfig
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.eager import describe, eager_sampler
from small_runs import planned, trained

LETTERS = Vocabulary("abcdef")
VOCAB_SIZE = len(LETTERS)
ORDERS = [2, 3, 4, 5, 6]


def random_lines(n, seed=1):
    """Lines of 1 to 8 letters, a the most frequent and f never."""
    rng = np.random.default_rng(seed)
    odds = np.array([16, 8, 4, 2, 1]) / 31
    return ["".join(rng.choice([*"abcde"], rng.integers(1, 9), p=odds)) for _ in range(n)]


def random_tokens(rows, time, seed=1):
    """Token ids (rows, time), as no string has them: starts and letters never seen in between."""
    tokens = np.random.default_rng(seed).integers(VOCAB_SIZE, size=(rows, time))
    tokens[:, 0] = 0
    return torch.from_numpy(tokens)


def fitted(lines, dev=None, vocabulary=LETTERS, **options):
    model = Ngram(NgramConfig(**options), len(vocabulary))
    model.fit(EncodedStrings(lines, vocabulary), EncodedStrings(dev, vocabulary) if dev else None)
    return model


def counted(lines, longest):
    """How often each token follows each context of at most `longest` tokens: {(h, w): count}."""
    counts = Counter()
    for line in lines:
        tokens = [0, *LETTERS.encode(line), 0]
        for i in range(1, len(tokens)):
            for length in range(min(i, longest) + 1):
                counts[tuple(tokens[i - length : i]), tokens[i]] += 1
    return counts


def history(tokens, longest):
    """What of `tokens` a context can hold: the last ones, from the last start token on."""
    start = max(i for i, token in enumerate(tokens) if token == 0)
    return tuple(tokens[max(start, len(tokens) - longest) :])


def additive_oracle(lines, order, k):
    counts = counted(lines, order - 1)

    def probability(w, h):
        total = sum(counts[h, v] for v in range(VOCAB_SIZE))
        whole = len(h) == order - 1 or h[0] == 0
        if not whole or total == 0:
            return 1 / VOCAB_SIZE
        return (counts[h, w] + k) / (total + k * VOCAB_SIZE)

    return probability


def discounts_oracle(counts):
    n1, n2, n3, n4 = (sum(count == i for count in counts) for i in (1, 2, 3, 4))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if min(found) > 0:
            return found
    return (0.5, 1, 1.5)


def kneser_ney_oracle(lines, order):
    raw = counted(lines, order - 1)
    counts = Counter()
    for h, w in raw:
        if len(h) == order - 1 or h[:1] == (0,):
            counts[h, w] = raw[h, w]
        else:
            counts[h, w] = sum(((v, *h), w) in raw for v in range(VOCAB_SIZE))
    discounts = [
        discounts_oracle([count for (h, _), count in counts.items() if len(h) == length])
        for length in range(order)
    ]

    def probability(w, h):
        lower = probability(w, h[1:]) if h else 1 / VOCAB_SIZE
        after = [counts[h, v] for v in range(VOCAB_SIZE)]
        if not any(after):
            return lower
        d1, d2, d3 = discounts[len(h)]
        taken = [0, d1, d2, d3]
        left = sum(taken[min(count, 3)] for count in after)
        return (after[w] - taken[min(after[w], 3)] + left * lower) / sum(after)

    return probability


def assert_follows(model, probability, order):
    """The model is `probability` after each of some tokens, whole as well as step by step."""
    tokens = random_tokens(40, 9)
    expected = np.array(
        [
            [
                [probability(w, history(row[: i + 1], order - 1)) for w in range(VOCAB_SIZE)]
                for i in range(len(row))
            ]
            for row in tokens.tolist()
        ]
    )
    np.testing.assert_allclose(expected.sum(2), 1, rtol=1e-9)
    np.testing.assert_allclose(model(tokens).exp(), expected, rtol=3e-6, atol=1e-12)


@pytest.mark.parametrize("n", [4, 40, 400])
@pytest.mark.parametrize("order", ORDERS)
def test_kneser_ney_is_that_of_the_formulas(order, n):
    lines = random_lines(n)
    model = fitted(lines, order=order)
    assert_follows(model, kneser_ney_oracle(lines, order), order)


def test_the_discounts_are_those_of_the_formulas_where_the_data_give_them():
    counts = np.repeat([1, 2, 3, 4, 9], [40, 16, 8, 5, 3])
    y = 40 / 72
    expected = [1 - 2 * y * 16 / 40, 2 - 3 * y * 8 / 16, 3 - 4 * y * 5 / 8]
    np.testing.assert_allclose(discounts_of(counts), expected)
    for none in ([1, 1, 2, 4], [2, 3, 4], [1, 2, *[3] * 9]):  # no 3; no 1; D2 would be negative
        np.testing.assert_array_equal(discounts_of(np.array(none)), [0.5, 1, 1.5])


@pytest.mark.parametrize("k", [0, 0.1, 1])
@pytest.mark.parametrize("order", ORDERS)
def test_additive_counts_the_whole_context_or_is_uniform(order, k):
    lines = random_lines(60)
    model = fitted(lines, order=order, method="additive", smoothing=k)
    assert_follows(model, additive_oracle(lines, order, k), order)


def test_an_additive_bigram_is_the_bigram():
    lines, dev = random_lines(60), random_lines(20, seed=2)
    train, held_out = EncodedStrings(lines, LETTERS), EncodedStrings(dev, LETTERS)
    ngram = Ngram(NgramConfig(order=2, method="additive"), VOCAB_SIZE)
    bigram = Bigram(BigramConfig(), VOCAB_SIZE)
    assert ngram.fit(train, held_out) == bigram.fit(train, held_out)
    tokens = random_tokens(10, 9)
    assert torch.equal(ngram(tokens), bigram(tokens))


@pytest.mark.parametrize("order", ORDERS)
def test_the_smoothing_is_the_best_on_dev(order):
    lines, dev = random_lines(300), random_lines(100, seed=2)
    model = Ngram(NgramConfig(order=order, method="additive"), VOCAB_SIZE)
    held_out = EncodedStrings(dev, LETTERS)
    chosen = model.fit(EncodedStrings(lines, LETTERS), held_out)["smoothing"]
    nearby = [min(max(chosen * factor, 1e-3), 1e2) for factor in (0.5, 0.8, 1.25, 2)]
    others = [*nearby, 1e-3, 1e-2, 1e-1, 1, 10, 1e2]
    losses = [
        mean_nll(fitted(lines, order=order, method="additive", smoothing=k), held_out)
        for k in others
    ]
    assert mean_nll(model, held_out) <= min(losses) + 1e-9


def test_without_dev_the_smoothing_is_1():
    train = EncodedStrings(random_lines(10), LETTERS)
    assert Bigram(BigramConfig(), VOCAB_SIZE).fit(train, None) == {"smoothing": 1}
    config = NgramConfig(method="additive")
    assert Ngram(config, VOCAB_SIZE).fit(train, None) == {"smoothing": 1}


@pytest.mark.parametrize("k", [-0.1, 1e7, math.inf, math.nan])
@pytest.mark.parametrize("options", [{}, {"method": "additive"}], ids=["bigram", "ngram"])
def test_a_smoothing_is_a_count_of_0_to_a_million(options, k):
    with pytest.raises(OptionError, match="smoothing is"):
        planned("ngram" if options else "bigram", smoothing=k, **options)


def test_smoothing_is_no_option_of_kneser_ney():
    with pytest.raises(OptionError, match=r"smoothing 0\.1 is for method additive"):
        NgramConfig(smoothing=0.1)


@pytest.mark.parametrize("method", ["kneser-ney", "additive"])
def test_one_line_of_one_character_is_enough(method):
    vocabulary = Vocabulary("語")
    model = fitted(["語"], ["語"], vocabulary, method=method)
    assert math.isfinite(mean_nll(model, EncodedStrings(["語語語", "語"], vocabulary)))


def test_only_contexts_that_were_seen_are_stored():
    lines = ["ab", "abc"]
    begins = [f"^{line}"[:end] for line in lines for end in range(1, len(line) + 2)]
    contexts = {begin[i:] for begin in begins for i in range(len(begin) + 1)}
    model = fitted(lines, order=6)
    shorter = [context for context in contexts if len(context) < 5]
    assert model.logits.shape == (len(contexts), VOCAB_SIZE)
    assert model.next.shape == (len(shorter) * VOCAB_SIZE,)


def test_a_table_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(ngrams, "_LARGEST", 11 * VOCAB_SIZE * 8 - 1)
    message = "order 6 with 11 contexts of 7 tokens takes 616 bytes; the limit is 615; take a lower"
    with pytest.raises(OptionError, match=message):
        fitted(["ab", "abc"], order=6)
    fitted(["ab", "abc"], order=3)


def test_weights_are_loaded_whatever_their_number_of_contexts():
    model = fitted(random_lines(60), order=4)
    other = fitted(random_lines(9), order=3)
    other.load_state_dict(model.state_dict())
    tokens = random_tokens(10, 9)
    assert torch.equal(other(tokens), model(tokens))


@pytest.mark.parametrize(
    "options", [{"order": 3}, {"order": 4, "method": "additive"}], ids=["kneser-ney", "additive"]
)
def test_an_artifact_samples_what_the_model_does(tmp_path, options):
    source = trained(tmp_path / "run", "ngram", **options)
    export(source, tmp_path / "artifact")
    model = source.run.new_model()
    model.load_state_dict(source.weights)
    eager = eager_sampler(model, describe(source.run, source.progress, model))
    strings = eager.sample(200, seed=3)
    for name in ("model.onnx", "model.ts"):
        sampler = makemore.load(tmp_path / "artifact" / name, threads=1, trust=True)
        assert sampler.sample(200, seed=3) == strings
        assert sampler.artifact.model.config == source.run.config | source.progress.fitted
    tables = sum(table.nbytes for table in source.weights.values())
    for name in ("model.onnx", "model.ts"):
        assert (tmp_path / "artifact" / name).stat().st_size < tables + 20_000


def test_the_methods_rank_on_names_as_they_should_and_a_6_gram_of_them_is_small():
    lines = read_text().lines
    vocabulary = Vocabulary.of(lines)
    splits = split(lines, (80, 10, 10), seed=1)
    train, dev, test = (EncodedStrings(split, vocabulary) for split in splits.values())

    def loss(**options):
        model = Ngram(NgramConfig(**options), len(vocabulary))
        model.fit(train, dev)
        assert sum(table.nbytes for table in model.state_dict().values()) < 20e6 - 20_000
        return mean_nll(model, test)

    bigram, trigram = (loss(order=order, method="additive") for order in (2, 3))
    assert trigram < bigram
    assert trigram < loss(order=3, method="additive", smoothing=1.0)
    assert loss(order=3) < trigram
    assert loss(order=6) < loss(order=5) < loss(order=4) < loss(order=3)
