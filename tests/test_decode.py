import json

import makemore
import numpy as np
import oracle
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from makemore import OptionError, Sampler
from msgspec import structs
from python_step import LogitsStep, sampler_of
from tiny_artifacts import FOLDER, load_tiny, metadata

N = 1000


def facts(samples):
    return [(list(s.ids), s.finish_reason, s.row, s.log_prob) for s in samples]


def expected(tiny, n, *, first_row=0, **options):
    """What `facts` must be, row by row by the oracle; the log-probability to 12 digits."""
    made = []
    for row in range(first_row, first_row + n):
        one = oracle.sample(tiny.logits, row=row, **{"max_length": tiny.max_length, **options})
        reason = "stop" if one.stopped else "length"
        made.append((list(one.ids), reason, row, pytest.approx(one.log_prob, rel=1e-12)))
    return made


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 64, 1000])
def test_samples_are_those_of_the_oracle_whatever_the_batch_size_and_threads(
    tiny, strategy, batch_size, threads
):
    sampler = load_tiny(tiny.name, strategy, threads)
    assert facts(sampler.sample_ids(200, min_length=0, seed=3, batch_size=batch_size)) == expected(
        tiny, 200, seed=3
    )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 5000])
def test_few_and_many_samples_are_those_of_the_oracle(tiny, strategy, n, threads):
    sampler = load_tiny(tiny.name, strategy, threads)
    assert facts(sampler.sample_ids(n, min_length=0, seed=4)) == expected(tiny, n, seed=4)


def test_without_a_strategy_the_samples_are_the_same(tiny, strategy):
    for n in (1, 5000):
        expected = facts(load_tiny(tiny.name, strategy).sample_ids(n, min_length=0, seed=4))
        assert facts(load_tiny(tiny.name).sample_ids(n, min_length=0, seed=4)) == expected


def test_a_strategy_that_is_not_known_is_refused():
    with pytest.raises(OptionError, match="strategy is 'fast'; it must be 'auto', 'tree' or"):
        load_tiny("bigram", "fast").sample(1)


def test_the_cached_strategy_is_refused_for_a_step_that_cannot_save_states():
    sampler = sampler_of(tiny_models.HISTORY)
    sampler._strategy = "cached"
    with pytest.raises(OptionError, match="strategy is 'cached'; these steps cannot save"):
        sampler.sample(1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 64, 1000])
def test_same_seed_gives_the_same_thousand_strings_whatever_the_batch_size_and_threads(
    tiny, sampler, strategy, batch_size, threads
):
    other = load_tiny(tiny.name, strategy, threads)
    made = other.sample_ids(N, min_length=0, seed=3, batch_size=batch_size)
    # Exactly, log-probabilities too: 1000 rows share prefixes, rows alone share none.
    assert facts(made) == facts(sampler.sample_ids(N, min_length=0, seed=3))


@settings(max_examples=60, deadline=None)
@given(
    tiny=st.sampled_from(tiny_models.MODELS),
    strategy=st.sampled_from(["tree", "cached"]),
    seed=st.integers(0, 2**64 - 1),
    first_row=st.integers(0, 2**63),
    temperature=st.one_of(st.just(0.0), st.floats(0.1, 4)),
    top_k=st.integers(0, 5),
    top_p=st.floats(0.1, 1),
    min_p=st.floats(0, 1),
    prefix_length=st.integers(0, 3),
    max_length=st.integers(3, 7),
    batch_size=st.integers(1, 20),
)
def test_samples_are_those_of_the_oracle_for_any_options(
    tiny, strategy, seed, first_row, prefix_length, batch_size, **options
):
    sampler = load_tiny(tiny.name, strategy)
    prefix = tiny.characters[0] * (prefix_length if tiny is not tiny_models.SPARSE else 1)
    made = sampler.sample_ids(
        12,
        min_length=0,
        seed=seed,
        first_row=first_row,
        prefix=prefix,
        batch_size=batch_size,
        **options,
    )
    assert facts(made) == expected(
        tiny, 12, seed=seed, first_row=first_row, prefix=tiny.encode(prefix), **options
    )


@settings(max_examples=40, deadline=None)
@given(
    table=st.lists(
        st.lists(st.sampled_from([-np.inf, -2.0, 0.0, 1.5]), min_size=4, max_size=4).filter(
            lambda row: max(row) > -np.inf
        ),
        min_size=4,
        max_size=4,
    ),
    seed=st.integers(0, 2**64 - 1),
)
def test_a_python_step_with_any_logits_gives_the_samples_of_the_oracle(table, seed):
    tiny = tiny_models.TinyModel("any", tuple("abc"), lambda ids: table[[0, *ids][-1]], 6)
    assert facts(sampler_of(tiny).sample_ids(20, min_length=0, seed=seed)) == expected(
        tiny, 20, seed=seed
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_select_keeps_its_rule_and_moves_rows_where_their_strings_go(tiny, sampler, threads):
    made = sampler_of(tiny, threads).sample_ids(300, min_length=0, seed=5, batch_size=100)
    assert [s.text for s in made] == sampler.sample(300, min_length=0, seed=5)


def test_a_shared_prefix_is_evaluated_once():
    fed = []

    class Counting(LogitsStep):
        def run(self, tokens, positions):
            logits = super().run(tokens, positions)
            fed.extend(tuple(history) for history in self.fed)
            return logits

    tiny = tiny_models.HISTORY
    step = Counting(tiny.logits, tiny.vocab_size)
    made = Sampler(metadata(tiny.characters), lambda: step).sample(
        N, min_length=0, seed=1, max_length=5, batch_size=N
    )
    # A string cut at its longest ends without a step of its own.
    prefixes = {text[:length] for text in made for length in range(min(len(text), 4) + 1)}
    assert len(fed) == len(prefixes)
    assert {tiny.decode(history[1:]) for history in fed} == prefixes


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8, 13])
def test_no_step_ever_holds_more_rows_than_the_batch_size(batch_size):
    rows = []

    class Watched(LogitsStep):
        def run(self, tokens, positions):
            rows.append(len(tokens))
            return super().run(tokens, positions)

    tiny = tiny_models.HISTORY
    artifact = metadata(tiny.characters)
    sampler = Sampler(artifact, lambda: Watched(tiny.logits, tiny.vocab_size))
    sampler.sample(300, min_length=0, seed=1, max_length=8, batch_size=batch_size)
    assert max(rows) <= batch_size


def test_first_row_names_the_first_string(sampler):
    made = sampler.sample_ids(50, min_length=0, seed=9)
    assert facts(sampler.sample_ids(20, min_length=0, seed=9, first_row=30)) == facts(made[30:])


def test_another_seed_gives_other_strings(sampler):
    assert sampler.sample(100, min_length=0, seed=1) != sampler.sample(100, min_length=0, seed=2)


def test_without_a_seed_the_result_says_which_it_took(sampler):
    first, second = (sampler.sample_ids(20, min_length=0) for _ in range(2))
    assert first[0].seed != second[0].seed
    assert facts(sampler.sample_ids(20, min_length=0, seed=first[0].seed)) == facts(first)


def test_every_string_begins_with_the_prefix(sampler):
    prefix = sampler.artifact.golden.strings[2][:1]
    made = sampler.sample(100, min_length=0, seed=1, prefix=prefix)
    assert all(text.startswith(prefix) for text in made)
    assert len(set(made)) > 3


def test_a_prefix_as_long_as_max_length_is_all_there_is(bigram):
    made = bigram.sample_ids(5, min_length=0, seed=1, prefix="abca", max_length=4)
    assert {(s.text, s.finish_reason) for s in made} == {("abca", "length")}


def test_no_string_is_longer_than_max_length_and_the_cut_ones_say_so(sampler):
    free, cut = (
        sampler.sample_ids(200, min_length=0, seed=1),
        sampler.sample_ids(200, min_length=0, seed=1, max_length=3),
    )
    assert [s.text for s in cut] == [s.text[:3] for s in free]
    # The stop after three characters is not waited for.
    assert [s.finish_reason for s in cut] == ["stop" if len(s.text) < 3 else "length" for s in free]


def test_the_default_max_length_is_that_of_the_artifact(bigram):
    made = bigram.sample_ids(1, min_length=0, temperature=0)
    assert made[0].text == "a" * 20
    assert made[0].finish_reason == "length"


def test_excluded_characters_are_never_made(bigram):
    made = bigram.sample(300, min_length=0, seed=1, exclude="ac")
    assert set("".join(made)) == {"b"}


def test_a_prefix_may_hold_what_is_excluded(bigram):
    made = bigram.sample(300, min_length=0, seed=1, prefix="ac", exclude="ac")
    assert all(text.startswith("ac") for text in made)
    assert set("".join(text[2:] for text in made)) == {"b"}


def test_the_log_probability_of_a_finished_string_is_its_score(sampler):
    made = [s for s in sampler.sample_ids(300, min_length=0, seed=1) if s.finish_reason == "stop"]
    assert len(made) > 100
    assert sampler.score([s.text for s in made]).tolist() == [s.log_prob for s in made]


def test_the_log_probability_is_that_of_the_model_whatever_the_options(sampler):
    made = sampler.sample_ids(100, min_length=0, seed=1, temperature=0.5, top_k=2)
    stopped = [s for s in made if s.finish_reason == "stop"]
    assert sampler.score([s.text for s in stopped]).tolist() == [s.log_prob for s in stopped]


def test_no_strings_at_all_is_an_empty_list(sampler):
    assert sampler.sample(0) == sampler.sample_ids(0) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": -1}, "n is -1; it must be an integer >= 0"),
        ({"max_length": 0}, "max_length is 0; it must be an integer >= 1"),
        ({"batch_size": 0}, "batch_size is 0; it must be an integer >= 1"),
        ({"seed": -1}, r"seed is -1; it must be an integer >= 0 and < 2\*\*64"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"first_row": -1}, "first_row is -1"),
        ({"n": 2, "first_row": 2**64 - 1}, r"with 2 rows it passes 2\*\*64"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": -1.0}, "temperature is -1"),
        ({"prefix": "ax"}, r"character 'x' \(number 2 of 'ax'\) is not among the 3 characters"),
        ({"exclude": "x"}, "character 'x'"),
        ({"prefix": "abc", "max_length": 2}, "prefix 'abc' has 3 characters; max_length is 2"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_its_value_and_its_limit(bigram, options, message):
    with pytest.raises(OptionError, match=message):
        bigram.sample(**{"n": 1, **options})


@pytest.mark.parametrize("name", ["n", "top_k", "max_length", "batch_size"])
def test_a_number_too_large_for_64_bits_is_refused(bigram, name):
    with pytest.raises(OptionError, match=f"{name} is {2**70}"):
        bigram.sample(**{"n": 1, name: 2**70})


def test_an_excluded_character_that_leaves_nothing_to_say_is_the_fault_of_the_caller():
    sparse = makemore.load(FOLDER / "sparse")
    with pytest.raises(OptionError, match="no token is left to choose"):
        sparse.sample(1, min_length=0, exclude="a中😀")


def test_a_string_longer_than_the_block_is_refused():
    cache = makemore.load(FOLDER / "cache")
    with pytest.raises(OptionError, match="max_length is 8 characters; a block of 8 holds 7"):
        cache.sample(1, min_length=0, max_length=8)


def test_samples_compare_and_hash_by_value(bigram):
    made, again = (
        bigram.sample_ids(20, min_length=0, seed=1),
        bigram.sample_ids(20, min_length=0, seed=1),
    )
    assert made == again
    assert not made[0] != again[0]  # noqa: SIM202  != is a method of its own
    assert made[0] != made[1]
    assert made[0] != tuple(made[0])
    assert len({*made, *again}) == 20


def test_a_sample_as_json_is_its_fields(bigram):
    [made] = bigram.sample_ids(1, min_length=0, seed=1)
    assert json.loads(made.to_json()) == made.to_dict()
    assert made.to_dict() == {**made._asdict(), "ids": made.ids.tolist()}
    assert "\n" not in made.to_json()


def test_the_repr_of_a_sampler_says_model_tokens_device_and_losses(bigram):
    start = "<Sampler: bigram, 4 tokens (characters), on cpu, nats per character: "
    assert repr(bigram) == f"{start}unknown>"
    training = structs.replace(bigram.artifact.training, losses={"train": 1.25, "dev": None})
    trained = Sampler(structs.replace(bigram.artifact, training=training), bigram.new_step)
    assert repr(trained) == f"{start}train 1.2500, dev inf>"
