"""The options of sampling: their limits, their types, and where they can be seen."""

import inspect
import json
import re
from dataclasses import FrozenInstanceError, fields

import makemore
import numpy as np
import pytest
from makemore import OptionError, OptionTypeError, SampleOptions, _core
from makemore.commands.sample import sample
from makemore.options import CUDA_BATCH_SIZE
from makemore.runtime.device_sampler import DeviceSampler

NAMES = [each.name for each in fields(SampleOptions)]


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("n", 2.0, "an integer >= 0 and < 2**63"),
        ("n", None, "an integer >= 0 and < 2**63"),
        ("temperature", "hot", "a finite number >= 0"),
        ("temperature", "1", "a finite number >= 0"),
        ("temperature", 10**400, "a finite number >= 0"),
        ("top_k", None, "an integer >= 0 and < 2**63 (0 keeps all)"),
        ("top_k", 3.0, "an integer >= 0 and < 2**63 (0 keeps all)"),
        ("top_p", [0.5], "a number > 0 and <= 1"),
        ("min_p", None, "a number >= 0 and <= 1"),
        ("prefix", None, "a string"),
        ("prefix", ["a", "b"], "a string"),
        ("prefix", b"a", "a string"),
        ("exclude", 1, "a string"),
        ("max_length", "7", "an integer >= 1 and < 2**63, or None"),
        ("seed", 1.5, "an integer >= 0 and < 2**64, or None"),
        ("first_row", None, "an integer >= 0 and < 2**64"),
        ("batch_size", 2.5, "an integer >= 1 and < 2**63, or None"),
    ],
)
@pytest.mark.parametrize("method", ["sample", "sample_ids"])
def test_a_wrong_type_is_refused_with_the_option_and_what_it_takes(
    bigram, method, name, value, takes
):
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:80] + "..."
    message = re.escape(f"{name} is {shown}; it must be {takes}") + "$"
    with pytest.raises(OptionTypeError, match=message):
        getattr(bigram, method)(**{"n": 1, name: value})


@pytest.mark.parametrize("name", ["top_p", "min_p"])
def test_a_message_shows_the_digits_that_make_a_value_wrong(bigram, name):
    with pytest.raises(OptionError, match=rf"{name} is 1\.0000001; it must be"):
        bigram.sample(1, **{name: 1.0000001})
    with pytest.raises(OptionError, match=rf"{name} is 1\.0000001; it must be"):
        _core.choose([0.0, 1.0], 0.5, _core.SamplingOptions(**{name: 1.0000001}))


def test_a_type_error_is_an_option_error_and_a_python_type_error():
    assert issubclass(OptionTypeError, OptionError)
    assert issubclass(OptionTypeError, TypeError)


def test_an_option_that_there_is_not_is_a_type_error(bigram):
    with pytest.raises(TypeError, match="unexpected keyword argument 'temprature'"):
        bigram.sample(1, temprature=1.0)


def test_arguments_may_be_by_place_or_by_name(bigram):
    by_place = bigram.complete(["a"], 2, seed=1)
    assert bigram.complete(["a"], n=2, seed=1) == bigram.complete(prefixes=["a"], n=2, seed=1)
    assert bigram.complete(["a"], n=2, seed=1) == by_place
    assert bigram.sample_rows(0, rows=2, seed=1) == bigram.sample_rows(0, 2, seed=1)
    with pytest.raises(TypeError, match="multiple values for argument 'n'"):
        bigram.sample(1, n=2)


def test_integers_of_numpy_are_plain_integers_in_the_result(bigram):
    made = bigram.sample_ids(np.int32(12), seed=np.int64(3), first_row=np.int8(120))
    assert made == bigram.sample_ids(12, seed=3, first_row=120)
    assert [each.row for each in made] == list(range(120, 132))
    assert {type(each.row) for each in made} == {type(each.seed) for each in made} == {int}
    assert json.dumps([made[0].seed, made[0].row]) == "[3, 120]"


def test_other_types_of_numbers_are_taken_for_what_they_are_worth(bigram):
    plain = bigram.sample(20, seed=1, temperature=2.0, top_k=1, top_p=0.5)
    same = {"seed": np.uint64(1), "temperature": 2, "top_k": True, "top_p": np.float32(0.5)}
    assert bigram.sample(20, **same) == plain


@pytest.mark.parametrize(
    "strings", [["c"], np.array(["c"]), ("c",), {"c": 1}, {"c": 1}.keys(), {"c"}]
)
def test_strings_that_do_not_pass_may_be_in_any_collection(bigram, strings):
    made = bigram.sample(200, seed=1, not_in=strings)
    assert made == [text for text in bigram.sample(300, seed=1) if text != "c"][:200]
    assert "c" in bigram.sample(200, seed=1)


class Index(list):
    """A collection whose `in` asks something else, as that of a Series of pandas does."""

    def __contains__(self, value):
        return value == 0


def test_strings_that_do_not_pass_are_the_elements(bigram):
    assert "c" not in bigram.sample(200, seed=1, not_in=Index(["c"]))


@pytest.mark.parametrize("strings", [b"abc", "abc", ["a", 5], [None], 5, [["a"]]])
def test_what_are_no_strings_that_do_not_pass(bigram, strings):
    with pytest.raises(OptionTypeError, match=r"not_in is .*; it must be a collection of"):
        bigram.sample(1, not_in=strings)


@pytest.mark.parametrize("name", ["n", "temperature"])
def test_a_number_that_python_does_not_write_is_refused_all_the_same(bigram, name):
    with pytest.raises(OptionError, match=f"{name} is 0x[0-9a-f]+\\.\\.\\.; it must be"):
        bigram.sample(**{"n": 1, name: 10**5000})


def test_a_function_that_cannot_be_hashed_adjusts_the_logits(bigram):
    class Mutable(list):
        def __call__(self, _, logits):
            return logits

    assert bigram.sample(20, seed=1, adjust=Mutable()) == bigram.sample(20, seed=1)


def test_options_are_frozen_compare_and_can_be_kept_for_many_calls(bigram):
    options = SampleOptions(temperature=0.5, seed=np.int64(7))
    assert options == SampleOptions(seed=7, temperature=0.5)
    assert hash(options) == hash(SampleOptions(seed=7, temperature=0.5))
    assert type(options.seed) is int
    with pytest.raises(FrozenInstanceError):
        options.seed = 8
    assert bigram.sample(9, **options) == bigram.sample(9, seed=7, temperature=0.5)
    with pytest.raises(KeyError, match="klingon"):
        options["klingon"]


def test_options_are_checked_before_a_sampler_sees_them():
    with pytest.raises(OptionError, match="top_p is 2; it must be a number > 0 and <= 1"):
        SampleOptions(top_p=2)


@pytest.mark.parametrize("method", ["sample", "sample_ids"])
def test_every_option_is_in_the_signature_and_explained_in_the_help(method):
    function = getattr(makemore.Sampler, method)
    own, n, *options = inspect.signature(function).parameters.values()
    assert (own.name, n.name, n.annotation) == ("self", "n", int)
    assert [each.name for each in options] == [*NAMES, "cancellation"]
    for option in fields(SampleOptions):
        parameter = inspect.signature(function).parameters[option.name]
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default == option.default
        assert f"{option.name}: {option.metadata['about']}" in function.__doc__


def test_options_are_explained_in_their_own_help():
    assert all(each.metadata["about"] in SampleOptions.__doc__ for each in fields(SampleOptions))


def test_the_flags_of_the_command_are_the_options():
    flags = {each.name: each for each in sample.params}
    assert flags.keys() >= set(NAMES) - {"adjust"}  # a function
    for option in fields(SampleOptions):
        if not option.metadata["flag"]:
            continue
        default = flags[option.name].default
        assert (flags[option.name].is_flag and not option.default) or default == option.default
        assert option.metadata["about"] in flags[option.name].help


def test_the_default_batch_size_is_the_one_in_the_help():
    assert makemore.Sampler.batch_size == 256
    assert DeviceSampler.batch_size == CUDA_BATCH_SIZE
    assert "[None: 256; on CUDA 16,384]" in makemore.Sampler.sample.__doc__
