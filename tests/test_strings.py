"""What a decode gives back: arrays over its memory, and its texts."""

import gc
import sys

import makemore
import numpy as np
import pytest
from makemore import _core
from makemore.options import SampleOptions
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


@pytest.mark.parametrize("offsets", [[], [0, 5], [-1, 2], [2, 1], [0, 65_536]])
def test_texts_of_what_is_no_list_of_strings(sampler, offsets):
    ids = np.ones(4, dtype=np.int32)
    with pytest.raises(IndexError, match="offsets are not where strings begin and end"):
        _core.texts(ids, np.array(offsets, dtype=np.int64), code_points(sampler))


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


@pytest.mark.parametrize("name", ["bigram", "fused"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_texts_that_are_made_while_others_are_drawn_are_those_of_the_ids(name, threads):
    sampler = makemore.load(FOLDER / name, threads=threads)
    rows = 20_000  # enough for the GIL to be asked for
    request = sampler.request(max_length=5)
    expected = sampler.decode(request, rows, 7, seed=3)
    texts, made = sampler.decode_texts(request, rows, 7, 3)
    assert texts == sampler.vocabulary.texts_of(expected)
    assert made.rows.tolist() == [*range(rows)]
    points = code_points(sampler)
    points[1::2] = ord("é")
    points[2::4] = ord("𠮷")
    wide = decode_texts(sampler, request, rows, points)
    assert wide.texts == sampler.decode(request, rows, seed=3).texts(points)


def test_rows_that_do_not_pass_have_no_texts():
    sampler = makemore.load(FOLDER / "bigram", threads=2)
    options = SampleOptions(min_length=2)
    request = sampler._plans.get(sampler, options).request
    expected = sampler.decode(request, 10_000, seed=3)
    texts, made = sampler.decode_texts(request, 10_000, seed=3)
    assert 0 < len(texts) < 10_000
    assert texts == sampler.vocabulary.texts_of(expected)
    assert made.rows.tolist() == expected.rows.tolist()


def decode_texts(sampler, request, rows, points):
    return sampler._run(_core.decode_texts, rows, request, rows, 0, 3, points)


def test_every_token_of_the_model_needs_a_code_point(sampler):
    request = sampler.request(max_length=9)
    with pytest.raises(IndexError, match="no such token"):
        decode_texts(sampler, request, 5, code_points(sampler)[:-1])


def test_the_list_alone_keeps_texts_that_were_made(sampler):
    made = decode_texts(sampler, sampler.request(max_length=9), 10_000, code_points(sampler))
    texts = [text for text in made.texts if len(text) > 1]  # Python keeps shorter ones itself
    del made
    others = ["".join(pair) for pair in zip("abc", "def", strict=True)]
    assert references(texts) == references(others)


def references(texts):
    return {sys.getrefcount(text) for text in texts}
