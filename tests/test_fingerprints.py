"""Fingerprints of lines: what they know, and what is no fingerprints."""

import base64
from hashlib import blake2b

import makemore
import numpy as np
import onnx
import pytest
from makemore import ArtifactError, OptionError
from makemore.fingerprints import (
    FINGERPRINTS_KEY,
    MAX_LINES,
    FingerprintReader,
    Fingerprints,
    stored_bytes,
)
from tiny_artifacts import FOLDER

LINES = ["a", "ba", "ccc", "a", "é😀"]


def test_lines_are_known_and_other_strings_are_not():
    prints = Fingerprints.of(LINES)
    assert len(prints) == 4
    assert prints.contains([*LINES, "", "b", "A"]).tolist() == [True] * 5 + [False] * 3
    assert Fingerprints.of([]).contains(["a"]).tolist() == [False]


def test_the_text_is_the_digests_rising():
    numbers = sorted(
        int.from_bytes(blake2b(line.encode(), digest_size=8).digest(), "little")
        for line in {*LINES}
    )
    data = b"".join(number.to_bytes(8, "little") for number in numbers)
    text = Fingerprints.of(LINES).to_text()
    assert base64.b64decode(text) == data
    assert len(text) == stored_bytes(len(numbers))
    assert Fingerprints.from_text(text.encode(), "f").contains(LINES).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"???", "f: the fingerprints are not base64"),
        (base64.b64encode(b"1234567"), "f: the fingerprints are 7 bytes; they must be 8 for each"),
        (base64.b64encode(np.array([2, 1], "<u8").tobytes()), "f: the fingerprints do not rise"),
        (base64.b64encode(np.array([1, 1], "<u8").tobytes()), "f: the fingerprints do not rise"),
    ],
)
def test_what_is_no_fingerprints_is_refused(text, message):
    with pytest.raises(ArtifactError, match=message):
        Fingerprints.from_text(text, "f")


def test_more_than_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr("makemore.fingerprints.MAX_LINES", 3)
    with pytest.raises(ArtifactError, match="at most 3 lines"):
        Fingerprints.from_text(Fingerprints.of(LINES).to_text().encode(), "f")
    assert MAX_LINES == 2**23


def test_they_are_read_once_and_when_they_are_asked_for():
    calls = []
    reader = FingerprintReader(lambda: calls.append(1) or b"AAAAAAAAAAA=", "f")
    assert not calls
    assert len(reader()) == len(reader()) == 1
    assert len(calls) == 1
    assert FingerprintReader(lambda: b"", "f")() is None


def artifact(text):
    proto = onnx.load(FOLDER / "bigram" / "model.onnx")
    proto.metadata_props.add(key=FINGERPRINTS_KEY, value=text)
    return proto.SerializeToString()


def test_an_artifact_with_fingerprints_gives_novel_strings():
    sampler = makemore.load(artifact(Fingerprints.of(["a", "b", "ab"]).to_text()))
    made = sampler.sample(500, seed=1, novel=True)
    assert not {*made} & {"a", "b", "ab"}
    assert made == sampler.sample(500, seed=1, not_in={"a", "b", "ab"})
    sampler.close()
    with pytest.raises(OptionError, match="this sampler is closed"):
        sampler.sample(1, novel=True)


def test_bad_fingerprints_are_found_when_they_are_needed():
    sampler = makemore.load(artifact("nonsense!"))
    assert len(sampler.sample(3, seed=1)) == 3
    with pytest.raises(ArtifactError, match="the fingerprints are not base64"):
        sampler.sample(1, novel=True)
