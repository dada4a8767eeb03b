import math

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makemore import _core

# Random123, tests/kat_vectors: counter, key, result of philox4x32 with 10 rounds.
KNOWN_ANSWERS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]

UINT64 = st.integers(0, 2**64 - 1)
UINT32 = st.integers(0, 2**32 - 1)


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_the_oracle_gives_the_known_answers_of_random123(counter, key, answer):
    assert [int(word) for word in oracle.philox4x32(words(counter), words(key))] == words(answer)


def test_a_coin_is_the_upper_53_bits_of_the_first_two_words_of_philox():
    # The first known answer: counter and key are all zero.
    assert _core.coin(0, 0, 0) == (0xE169C58D6627E8D5 >> 11) * 2.0**-53


@given(seed=UINT64, row=UINT64, position=UINT32)
def test_a_coin_is_that_of_the_oracle_for_any_seed_row_and_position(seed, row, position):
    assert _core.coin(seed, row, position) == oracle.coin(seed, row, position)


@pytest.mark.parametrize(
    ("seed", "row", "position", "value"),
    [
        (0, 0, 0, 0.8805201978886142),
        (1, 0, 0, 0.8946847163350924),
        (0, 1, 0, 0.36209111566940344),
        (0, 0, 1, 0.9396580854702459),
        (2**64 - 1, 2**64 - 1, 2**32 - 1, 0.89358335405882),
    ],
)
def test_coins_never_change(seed, row, position, value):
    assert _core.coin(seed, row, position) == value


def test_coins_are_uniform_in_0_1():
    coins = np.sort([_core.coin(7, row, position) for row in range(1000) for position in range(10)])
    assert coins[0] >= 0
    assert coins[-1] < 1
    # Kolmogorov-Smirnov: the limit is passed by chance once in a million seeds.
    distance = np.abs(coins - (np.arange(coins.size) + 0.5) / coins.size).max()
    assert distance * math.sqrt(coins.size) < 2.7
