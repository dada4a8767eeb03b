import math

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makemore import ArtifactError, OptionError, _core

# A few values often, so that ties come up; -inf is a token of probability 0.
LOGIT = st.one_of(
    st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0]),
    st.floats(-30, 30, width=32),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
COIN = st.floats(0, 1, exclude_max=True)
FINITE_ROW = st.lists(LOGIT, min_size=1, max_size=12).filter(lambda row: max(row) > -math.inf)


@st.composite
def rows_and_options(draw):
    logits = draw(FINITE_ROW)
    ids = st.integers(0, len(logits) - 1)
    mask = draw(st.sets(ids, max_size=len(logits) - 1))
    if all(logits[i] == -math.inf for i in range(len(logits)) if i not in mask):
        mask = set()
    options = {
        "temperature": draw(st.one_of(st.just(0.0), st.floats(0, 5), st.floats(0, 1e300))),
        "top_k": draw(st.integers(0, len(logits) + 2)),
        "top_p": draw(st.floats(0, 1, exclude_min=True)),
        "min_p": draw(st.floats(0, 1)),
        "mask": sorted(mask),
    }
    return logits, options


def choose(logits, coin, mask=(), **options):
    excluded = _core.ExcludedTokens(list(mask), len(logits)) if mask else None
    return _core.choose(logits, coin, _core.SamplingOptions(**options), excluded)


@given(rows_and_options(), COIN)
def test_the_choice_is_that_of_the_oracle_for_any_logits_options_and_coin(given_row, coin):
    logits, options = given_row
    expected = oracle.choose(logits, coin, **options)
    assert choose(logits, coin, **options) == expected


@given(FINITE_ROW, COIN)
def test_the_default_options_leave_every_token_its_share(logits, coin):
    weights = np.exp(np.array(logits, dtype=np.float32) - np.float64(max(logits)))
    chosen = _core.choose(logits, coin)
    below, above = weights[:chosen].sum(), weights[: chosen + 1].sum()
    assert below <= coin * weights.sum() * (1 + 1e-12)
    assert coin * weights.sum() <= above * (1 + 1e-12)


@given(rows_and_options(), COIN)
def test_a_masked_or_impossible_token_is_never_chosen(given_row, coin):
    logits, options = given_row
    chosen = choose(logits, coin, **options)
    assert chosen not in options["mask"]
    assert np.float32(logits[chosen]) > -math.inf


@pytest.mark.parametrize("coin", [0.0, 1 - 2**-53])
def test_the_extreme_coins_never_choose_a_token_of_probability_0(coin):
    logits = [-math.inf, 0.0, -math.inf, 0.0, -math.inf]
    assert _core.choose(logits, coin) == (1 if coin == 0 else 3)


def test_a_coin_on_a_boundary_belongs_to_the_token_above_it():
    assert _core.choose([0.0, 0.0], 0.5) == 1
    assert _core.choose([0.0, 0.0], np.nextafter(0.5, 0)) == 0


def test_temperature_0_takes_the_lowest_of_the_likeliest_ids_whatever_the_coin():
    options = _core.SamplingOptions(temperature=0)
    assert {_core.choose([1.0, 3.0, 3.0, 2.0], coin, options) for coin in (0.0, 0.5, 0.99)} == {1}


def test_temperature_divides_the_logits():
    logits = np.log(np.array([1, 2], dtype=np.float32))
    # At temperature 1/2 odds of 1:2 become 1:4.
    options = _core.SamplingOptions(temperature=0.5)
    assert [_core.choose(logits, coin, options) for coin in (0.199, 0.201)] == [0, 1]


def chosen_set(logits, **options):
    """All tokens that some coin chooses."""
    coins = np.linspace(0, 1, 1000, endpoint=False)
    return {choose(logits, coin, **options) for coin in coins}


HALVES = np.log(np.array([1, 8, 4, 2, 1], dtype=np.float32) / 16)


def test_top_k_keeps_the_k_likeliest_and_the_lower_id_of_a_tie():
    assert chosen_set(HALVES, top_k=2) == {1, 2}
    assert chosen_set(HALVES, top_k=4) == {0, 1, 2, 3}
    assert chosen_set(HALVES, top_k=0) == chosen_set(HALVES, top_k=99) == {0, 1, 2, 3, 4}


def test_top_p_keeps_the_smallest_set_whose_mass_is_at_least_p():
    assert chosen_set(HALVES, top_p=1e-300) == {1}
    assert chosen_set([0.0, 0.0], top_p=0.5) == {0}  # exactly enough
    assert chosen_set(HALVES, top_p=0.49) == {1}
    assert chosen_set(HALVES, top_p=0.51) == {1, 2}
    assert chosen_set(HALVES, top_p=0.9) == {0, 1, 2, 3}


def test_min_p_keeps_tokens_at_least_p_times_the_likeliest():
    assert chosen_set(HALVES, min_p=0.4) == {1, 2}
    assert chosen_set([0.0, 0.0], min_p=1.0) == {0, 1}


def test_top_p_counts_the_mass_that_mask_and_top_k_leave():
    # Without token 1 the masses are 1/8, 1/2, 1/4, 1/8; of the two likeliest 2/3 and 1/3.
    assert chosen_set(HALVES, mask=[1], top_p=0.6) == {2, 3}
    assert chosen_set(HALVES, mask=[1], top_p=0.6, top_k=2) == {2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.5}, "temperature is -0.5; it must be a finite number >= 0"),
        ({"temperature": -1e-9}, "temperature is -1e-09; it must be a finite number >= 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"top_k": -1}, "top_k is -1; it must be >= 0"),
        ({"top_p": 0.0}, "top_p is 0; it must be > 0 and <= 1"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"top_p": math.nan}, "top_p is nan"),
        ({"min_p": -0.1}, "min_p is -0.1; it must be >= 0 and <= 1"),
        ({"min_p": 2.0}, "min_p is 2"),
        ({"min_p": math.nan}, "min_p is nan"),
        ({"mask": [5]}, "an excluded token is 5; it must be >= 0 and below 5"),
        ({"mask": [-1]}, "an excluded token is -1"),
    ],
)
def test_an_option_outside_its_range_is_refused_with_its_value_and_its_limit(options, message):
    with pytest.raises(OptionError, match=message):
        choose(HALVES, 0.5, **options)


@pytest.mark.parametrize(
    ("logits", "mask", "message"),
    [
        ([0.0, math.nan], [], "hold NaN"),
        ([0.0, math.nan], [1], "hold NaN"),
        ([0.0, math.inf], [], r"hold \+inf"),
        ([-math.inf, -math.inf], [], "no token is left to choose"),
    ],
)
def test_logits_that_leave_nothing_to_choose_are_the_fault_of_the_artifact(logits, mask, message):
    with pytest.raises(ArtifactError, match=message):
        choose(logits, 0.5, mask)


def test_a_mask_that_leaves_nothing_to_choose_is_the_fault_of_the_caller():
    with pytest.raises(OptionError, match="no token is left to choose"):
        choose([-math.inf, 0.0], 0.5, [1])


def test_excluded_tokens_of_another_vocabulary_are_refused():
    with pytest.raises(
        OptionError, match="the mask of excluded tokens is for 3; the vocabulary has 2"
    ):
        _core.choose([0.0, 1.0], 0.5, excluded=_core.ExcludedTokens([1], 3))
