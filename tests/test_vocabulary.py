import unicodedata
from itertools import chain, pairwise

import makemore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makemore import OptionError
from makemore.decoded import end_to_end
from makemore.vocabulary import Vocabulary
from tiny_artifacts import FOLDER

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def round_trip(vocabulary, strings):
    ids = [vocabulary.encode(string) for string in strings]
    offsets = np.cumsum([0, *map(len, ids)])
    return vocabulary.decode(np.array([*chain(*ids)], dtype=np.int64), offsets)


@given(st.lists(TEXT, min_size=1))
def test_any_strings_round_trip(strings):
    assert round_trip(Vocabulary.of(strings), strings) == strings


@pytest.mark.parametrize(
    "string", ["👩‍👩‍👧‍👦", "汉字漢字", "e\u0301", "\u00e9", "\0\ufeff\u2028", "𝒳", "नमस्ते"]
)
def test_a_character_is_one_code_point_and_nothing_is_normalised(string):
    vocabulary = Vocabulary.of([string])
    assert len(vocabulary.encode(string)) == len(string)
    assert round_trip(vocabulary, [string]) == [string]


def test_a_composed_character_is_another_than_its_parts():
    vocabulary = Vocabulary.of(["e\u0301"])
    with pytest.raises(OptionError, match="is not among the 2 characters"):
        vocabulary.encode(unicodedata.normalize("NFC", "e\u0301"))


def test_characters_are_sorted_and_numbered_from_1():
    vocabulary = Vocabulary.of(["bca", "cab"])
    assert vocabulary.tokens == ("a", "b", "c")
    assert vocabulary.encode("cab") == [3, 1, 2]
    assert len(vocabulary) == 4


def test_an_unknown_character_is_named_with_its_place_and_what_is_known():
    message = r"character 'x' \(number 3 of 'abx'\) is not among the 2 characters .*: 'ab'"
    with pytest.raises(OptionError, match=message):
        Vocabulary("ab").encode("abx")


def test_an_error_does_not_list_thousands_of_characters():
    vocabulary = Vocabulary([chr(code) for code in range(0x4E00, 0x6000)])
    with pytest.raises(OptionError, match=r" \.\.\.$") as caught:
        vocabulary.encode("a")
    assert len(str(caught.value)) < 300


def test_strings_with_characters_of_one_to_four_bytes_are_sampled_and_scored():
    sparse = makemore.load(FOLDER / "sparse")
    made = sparse.sample(200, seed=1)
    assert set("".join(made)) == set("a\u0301中😀")
    assert np.isfinite(sparse.score(made)).all()
    assert all(text.startswith("a\u0301") for text in sparse.sample(20, seed=1, prefix="a\u0301"))


@given(st.lists(st.text(alphabet="ab\u00e9\u4e2d\U0001f600", max_size=6), max_size=6))
def test_utf8_of_many_strings_is_that_of_each(strings):
    vocabulary = Vocabulary.of("ab\u00e9\u4e2d\U0001f600")
    utf8, offsets = vocabulary.utf8(*end_to_end([vocabulary.encode(each) for each in strings]))
    pieces = [bytes(utf8[begin:end]) for begin, end in pairwise(offsets)]
    assert pieces == [each.encode() for each in strings]
