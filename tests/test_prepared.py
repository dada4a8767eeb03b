"""A request that is made ready once gives what the sampler's own calls give."""

import inspect
import pickle
import threading

import makemore
import numpy as np
import pytest
from makemore import (
    CancellationToken,
    CancelledError,
    ExhaustedError,
    OptionError,
    OptionTypeError,
    PreparedRequest,
)
from makemore.options import SearchOptions
from tiny_artifacts import FOLDER, load_tiny

OPTIONS = [
    {},
    {"temperature": 0.5, "min_length": 0, "max_length": 2, "batch_size": 3},
    {"prefix": "a", "min_length": 2},
    {"not_in": ["a", "b"]},
    {"unique": True, "max_length": 3},
    {"max_rows": 1000, "suffix": "a"},
    {"penalty": 1.5, "adjust": lambda ids, logits: logits * 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "none")
@pytest.mark.parametrize("n", [0, 1, 9])
def test_it_makes_the_strings_of_the_sampler(tiny, options, n):
    sampler = load_tiny(tiny.name)
    prepared = sampler.prepare(**options)
    for where in ({"seed": 3}, {"seed": 2**64 - 1, "first_row": 17}):
        assert prepared.sample(n, **where) == sampler.sample(n, **where, **options)
        for made, expected in zip(
            prepared.sample_ids(n, **where), sampler.sample_ids(n, **where, **options), strict=True
        ):
            assert made.ids.tolist() == expected.ids.tolist()
            assert (made.text, made.log_prob, made.finish_reason, made.seed, made.row) == (
                expected.text,
                expected.log_prob,
                expected.finish_reason,
                expected.seed,
                expected.row,
            )


def test_a_label_is_an_option():
    sampler = makemore.load(FOLDER / "schema-3" / "labels", threads=1)
    for label in sampler.artifact.labels:
        made = sampler.prepare(label=label).sample(5, seed=1)
        assert made == sampler.sample(5, seed=1, label=label)


def test_without_a_seed_each_call_has_one_of_its_own(bigram):
    prepared = bigram.prepare()
    assert prepared.sample(50) != prepared.sample(50)
    assert prepared.sample_ids(1)[0].seed != prepared.sample_ids(1)[0].seed


def test_options_are_checked_when_it_is_made(bigram):
    with pytest.raises(OptionError, match=r"top_p is 2; it must be a number > 0 and <= 1"):
        bigram.prepare(top_p=2)
    with pytest.raises(OptionError, match="'é'"):
        bigram.prepare(prefix="é")
    for option in ("seed", "first_row", "n"):
        with pytest.raises(TypeError, match=option):
            bigram.prepare(**{option: 1})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": -1}, OptionError, "n is -1; it must be an integer >= 0 and < 2**63"),
        ({"n": 1.5}, OptionTypeError, "n is 1.5; it must be an integer"),
        ({"n": 1, "seed": -1}, OptionError, "seed is -1; it must be an integer >= 0"),
        ({"n": 1, "seed": "1"}, OptionTypeError, "seed is '1'; it must be an integer"),
        ({"n": 1, "first_row": 2**64}, OptionError, "first_row is 18446744073709551616"),
        ({"n": 2, "first_row": 2**64 - 1}, OptionError, "with 2 rows it passes 2**64"),
        ({"n": 1, "cancellation": 1}, OptionTypeError, "cancellation is 1; it must be a Cance"),
    ],
)
def test_what_a_call_is_given_is_checked_as_the_sampler_does(bigram, arguments, error, message):
    prepared = bigram.prepare()
    for verb in (prepared.sample, prepared.sample_ids, bigram.sample, bigram.sample_ids):
        with pytest.raises(error) as raised:
            verb(**arguments)
        assert message in str(raised.value)


def test_numbers_of_numpy_are_numbers(bigram):
    made = bigram.prepare().sample(np.int64(3), seed=np.uint64(5), first_row=np.int8(2))
    assert made == bigram.sample(3, seed=5, first_row=2)


def test_the_strings_found_before_the_rows_end_are_in_the_error(bigram):
    prepared = bigram.prepare(not_in={"a"}, max_length=1, unique=True, max_rows=2000)
    for verb, text in ((prepared.sample, str), (prepared.sample_ids, lambda made: made.text)):
        with pytest.raises(ExhaustedError) as raised:
            verb(100, seed=1)
        found = [text(each) for each in raised.value.found]
        assert found
        assert "a" not in found


def test_a_collection_that_is_no_set_is_read_once(bigram):
    class Strings(list):
        reads = 0

        def __iter__(self):
            type(self).reads += 1
            return super().__iter__()

    prepared = bigram.prepare(not_in=Strings(["a", "b"]))
    for seed in range(5):
        assert not {"a", "b"} & set(prepared.sample(20, seed=seed))
    assert Strings.reads == 1


def test_a_cancelled_token_ends_a_call(bigram):
    token = CancellationToken()
    token.cancel()
    prepared = bigram.prepare()
    for verb in (prepared.sample, prepared.sample_ids):
        with pytest.raises(CancelledError):
            verb(10, cancellation=token)


def test_a_closed_sampler_makes_no_more():
    sampler = load_tiny("bigram", "cached")
    prepared = sampler.prepare()
    assert prepared.sample(3, seed=1)
    sampler.close()
    with pytest.raises(OptionError, match="this sampler is closed"):
        prepared.sample(3, seed=1)
    with pytest.raises(OptionError, match="this sampler is closed"):
        sampler.prepare()


def test_threads_may_share_one(bigram):
    prepared = bigram.prepare(min_length=2)
    made = {}

    def make(seed):
        made[seed] = [prepared.sample(5, seed=seed) for _ in range(20)]

    threads = [threading.Thread(target=make, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, calls in made.items():
        assert all(call == bigram.sample(5, seed=seed, min_length=2) for call in calls)


def test_a_pickle_makes_the_same_strings(bigram):
    prepared = bigram.prepare(prefix="a", not_in={"aa"}, unique=True)
    again = pickle.loads(pickle.dumps(prepared))
    assert again.sample(5, seed=4) == prepared.sample(5, seed=4)


def test_its_options_are_in_the_signature_and_the_help(bigram):
    names = inspect.signature(bigram.prepare).parameters.keys()
    assert names == inspect.signature(SearchOptions).parameters.keys()
    assert "temperature: Lower is safer" in bigram.prepare.__doc__
    assert isinstance(bigram.prepare(), PreparedRequest)
