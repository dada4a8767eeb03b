"""Do 100,000 samples of a bigram follow its probabilities, and would we notice if not?"""

from collections import Counter
from itertools import pairwise, product

import numpy as np
import oracle
import pytest
from scipy import stats
from tiny_artifacts import load_tiny
from tiny_models import BIGRAM, BIGRAM_TABLE, SPARSE, SPARSE_TABLE, TinyModel

N = 100_000
SIGNIFICANCE = 0.001
LONGEST = 3


def exact_probabilities(characters, table):
    """P of every whole string of at most three characters."""
    exact = {}
    for length in range(LONGEST + 1):
        for ids in product(range(1, len(table)), repeat=length):
            path = [0, *ids, 0]
            probability = np.prod([table[a][b] for a, b in pairwise(path)])
            exact["".join(characters[i - 1] for i in ids)] = float(probability)
    return exact


def p_value(strings, characters, table):
    """Chi-square of whole strings up to length 3; longer ones are one cell, rare ones another."""
    counts = Counter(strings)
    exact = exact_probabilities(characters, table)
    impossible = [text for text, probability in exact.items() if probability == 0]
    if any(counts[text] for text in impossible):
        return 0.0
    n = len(strings)
    usual = {text: p for text, p in exact.items() if p * n >= 10}
    rare = {text: p for text, p in exact.items() if 0 < p * n < 10}
    observed = [counts[text] for text in usual]
    expected = [p * n for p in usual.values()]
    observed.append(n - sum(observed) - sum(counts[text] for text in rare))
    expected.append(n * (1 - sum(exact.values())))
    if rare:
        observed[-1] += sum(counts[text] for text in rare)
        expected[-1] += n * sum(rare.values())
    return stats.chisquare(observed, expected).pvalue


def sample_with(token_of, seed=1, n=N):
    """Strings of the bigram from `token_of(last (n,), rows (n,), position, seed) -> (n,)`."""
    rows = np.arange(n)
    last = np.zeros(n, dtype=np.int64)
    strings = np.full(n, "", dtype=object)
    for position in range(BIGRAM.max_length):
        last = token_of(last, rows, position, seed)
        rows, last = rows[last > 0], last[last > 0]
        strings[rows] += np.array(BIGRAM.characters, dtype=object)[last - 1]
    return strings.tolist()


CDF = np.cumsum(BIGRAM_TABLE, axis=1)  # (V, V)


def by_definition(last, rows, position, seed):
    coins = oracle.coin(seed, rows, position)
    return np.minimum((CDF[last] <= coins[:, None]).sum(axis=1), 3)


def one_coin_for_the_whole_string(last, rows, position, seed):
    return by_definition(last, rows, 0, seed)


def a_coin_of_six_bits(last, rows, position, seed):
    coins = np.floor(oracle.coin(seed, rows, position) * 64) / 64
    return np.minimum((CDF[last] <= coins[:, None]).sum(axis=1), 3)


def a_cdf_of_six_bits(last, rows, position, seed):
    coins = oracle.coin(seed, rows, position)
    rounded = np.round(CDF[last] * 64) / 64
    return np.minimum((rounded <= coins[:, None]).sum(axis=1), 3)


def the_token_below_the_coin(last, rows, position, seed):
    coins = oracle.coin(seed, rows, position)
    return np.maximum((CDF[last] <= coins[:, None]).sum(axis=1) - 1, 0)


def a_slightly_warm_temperature(last, rows, position, seed):
    warm = np.array(BIGRAM_TABLE) ** (1 / 1.05)
    cdf = np.cumsum(warm / warm.sum(axis=1, keepdims=True), axis=1)
    coins = oracle.coin(seed, rows, position)
    return np.minimum((cdf[last] <= coins[:, None]).sum(axis=1), 3)


WRONG = [
    one_coin_for_the_whole_string,
    a_coin_of_six_bits,
    a_cdf_of_six_bits,
    the_token_below_the_coin,
    a_slightly_warm_temperature,
]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("tiny", "table"), [(BIGRAM, BIGRAM_TABLE), (SPARSE, SPARSE_TABLE)])
def test_samples_follow_the_exact_probabilities(tiny: TinyModel, table, strategy, seed):
    strings = load_tiny(tiny.name, strategy).sample(N, min_length=0, seed=seed)
    assert p_value(strings, tiny.characters, table) > SIGNIFICANCE


def test_the_definition_passes_the_test_and_is_what_the_library_makes():
    strings = sample_with(by_definition)
    assert p_value(strings, BIGRAM.characters, BIGRAM_TABLE) > SIGNIFICANCE
    assert strings[:1000] == load_tiny("bigram").sample(1000, min_length=0, seed=1)


@pytest.mark.parametrize("token_of", WRONG)
def test_a_wrong_sampler_is_rejected(token_of):
    assert p_value(sample_with(token_of), BIGRAM.characters, BIGRAM_TABLE) < SIGNIFICANCE


def test_strings_of_a_seed_do_not_depend_on_those_before_them():
    """The first characters of rows i and i + 1 are independent."""
    strings = load_tiny("bigram").sample(N, min_length=0, seed=1)
    pairs = Counter(zip([s[:1] for s in strings], [s[:1] for s in strings[1:]], strict=False))
    table = [[pairs[a, b] for b in ("", *"abc")] for a in ("", *"abc")]
    assert stats.chi2_contingency(table).pvalue > SIGNIFICANCE
