"""Tokens of any length: how strings are cut, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makemore import ArtifactError, OptionError
from makemore.artifact import Artifact
from makemore.token_vocabulary import LEVELS, TokenVocabulary, new_vocabulary
from tiny_artifacts import metadata

SMILES = ["C(=O)Cl", "CC[nH]1", "BrCC(Br)C", "c1ccccc1", "[nH]Cl"]
ATOMS = r"\[[^\]]+\]|Br|Cl|."


def cut(vocabulary, string):
    return [vocabulary.tokens[i - 1] for i in vocabulary.encode(string)]


def test_without_a_pattern_the_longest_token_is_cut_off():
    vocabulary = TokenVocabulary(["a", "ab", "abc", "c", "b"])
    assert cut(vocabulary, "abcab") == ["abc", "ab"]
    assert cut(vocabulary, "aabbc") == ["a", "ab", "b", "c"]
    assert vocabulary.encode("") == []
    with pytest.raises(OptionError, match=r"'abx' cannot be cut .* at character 3, 'x'"):
        vocabulary.encode("abx")


def test_strings_come_back_from_their_ids():
    vocabulary = TokenVocabulary(["a", "ab", "é😀"])
    ids, offsets = np.array([2, 1, 3, 1]), np.array([0, 2, 2, 4])
    assert vocabulary.decode(ids, offsets) == ["aba", "", "é😀a"]
    assert vocabulary.texts() == [None, "a", "ab", "é😀"]
    assert len(vocabulary) == 4


class TestPattern:
    @pytest.fixture(autouse=True)
    def _compiler(self):
        pytest.importorskip("outlines_core", reason="a pattern needs outlines-core")

    def test_lines_are_cut_as_the_expression_says(self):
        vocabulary = TokenVocabulary.split_by(SMILES, ATOMS)
        assert vocabulary.tokens == tuple(sorted({t for s in SMILES for t in re.findall(ATOMS, s)}))
        for string in SMILES:
            assert cut(vocabulary, string) == re.findall(ATOMS, string)
        with pytest.raises(OptionError, match=r"token '\[CCl\]' of 'C\[CCl\]' is not among"):
            vocabulary.encode("C[CCl]")

    def test_a_line_that_cannot_be_cut_is_named(self):
        with pytest.raises(OptionError, match=r"'ab' cannot be cut .* at character 2, 'b'"):
            TokenVocabulary.split_by(["a", "ab"], "a")
        with pytest.raises(OptionError, match="'b' cannot be cut"):
            TokenVocabulary.split_by(["b"], "a*")

    def test_a_bad_pattern_is_named(self):
        with pytest.raises(OptionError, match=r"split_pattern is '\(a'; "):
            TokenVocabulary.split_by(["a"], "(a")

    @pytest.mark.parametrize(
        ("pattern", "end"),
        [("(a+)+$|a", "b"), ("a|a.*b", ""), ("a|a[^b]*b|aa[^b]*c", "")],
    )
    def test_no_pattern_of_a_stranger_is_slow(self, pattern, end):
        vocabulary = TokenVocabulary(["a", "b"], pattern)
        string = Counted("a" * 400 + end)
        if end:
            with pytest.raises(OptionError):
                vocabulary.encode(string)
        else:
            assert vocabulary.encode(string) == [1] * 400
        assert Counted.reads < 5 * len(string)  # `re` would need longer than the universe

    @given(st.sampled_from(["a|a.*b|b|c", "ab*|ab*c|b|c", "a|b|c|a(bc)*a"]), st.text("abc"))
    def test_what_is_cut_is_the_longest_match(self, pattern, string):
        vocabulary = TokenVocabulary.split_by(["abc", "bca", "aab", "abca", string], pattern)
        pieces, at = [], 0
        while at < len(string):
            ends = [
                i for i in range(at + 1, len(string) + 1) if re.fullmatch(pattern, string[at:i])
            ]
            pieces.append(string[at : ends[-1]])
            at = ends[-1]
        assert cut(vocabulary, string) == pieces


class Counted(str):
    """Counts how often it is read."""

    reads = 0

    def __new__(cls, text):
        cls.reads = 0
        return super().__new__(cls, text)

    def __getitem__(self, at):
        type(self).reads += 1
        return super().__getitem__(at)


@pytest.mark.parametrize("level", LEVELS)
def test_there_is_a_vocabulary_of_each_level(level):
    vocabulary = new_vocabulary(level, ["a", "b"])
    assert vocabulary.level == level
    assert vocabulary.tokens == ("a", "b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": ("a", "")}, r"tokens\[1\] is empty"),
        ({"tokens": ("ab", "ab")}, "tokens holds 'ab' 2 times"),
        ({"level": "word", "split_pattern": "a"}, "split_pattern is for level 'token'"),
    ],
)
def test_metadata_that_cannot_be_is_refused(change, message):
    from msgspec.structs import replace

    artifact = replace(metadata(("a",)), **{"level": "token", **change})
    with pytest.raises(ArtifactError, match=message):
        Artifact.from_json(artifact.to_json(), "f")
