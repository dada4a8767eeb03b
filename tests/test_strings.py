"""What a decode gives back: arrays over its memory, and its texts."""

import gc

import makemore
import numpy as np
import pytest
from tiny_artifacts import FOLDER

ROWS = 50


@pytest.fixture
def sampler():
    return makemore.load(FOLDER / "bigram", threads=1)


def decode(sampler, rows=ROWS):
    return sampler.decode(sampler.request(max_length=9), rows, seed=3)


def code_points(sampler):
    return np.array([0, *map(ord, sampler.vocabulary.tokens)], dtype=np.uint32)


def test_texts_are_the_characters_of_the_ids(sampler):
    made = decode(sampler)
    letters = ["", *sampler.vocabulary.tokens]
    begins, ends = made.offsets[:-1], made.offsets[1:]
    expected = [
        "".join(letters[i] for i in made.ids[b:e]) for b, e in zip(begins, ends, strict=True)
    ]
    assert made.texts(code_points(sampler)) == expected
    assert sampler.vocabulary.texts_of(made) == expected


def test_texts_that_mix_scripts_keep_every_character(sampler):
    points = code_points(sampler)
    points[1::2] = ord("é")
    points[2::4] = ord("𠮷")
    made = decode(sampler)
    texts = made.texts(points)
    assert "".join(texts) == "".join(chr(points[i]) for i in made.ids)
    assert {len(text) for text in texts} == {*np.diff(made.offsets).tolist()}


def test_a_token_without_a_code_point_is_an_error(sampler):
    with pytest.raises(IndexError, match="no such token"):
        decode(sampler).texts(np.zeros(1, np.uint32))


def test_no_rows_have_no_texts(sampler):
    made = decode(sampler, rows=0)
    assert made.offsets.tolist() == [0]
    assert made.texts(code_points(sampler)) == []


def test_arrays_outlive_what_they_are_of(sampler):
    expected = decode(sampler).ids.copy()
    ids = decode(sampler).ids
    gc.collect()
    decode(sampler, rows=5000)
    assert ids.tolist() == expected.tolist()
    assert len(ids) > ROWS
