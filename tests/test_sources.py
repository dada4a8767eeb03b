"""What `makemore.load` opens: paths, bytes and files, and a TorchScript file on trust alone."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import zipfile
from pathlib import Path

import makemore
import pytest
from makemore import ArtifactError, MissingDependencyError, OptionError
from makemore.runtime.torchscript_file import read_metadata
from tiny_artifacts import FOLDER

FILE = FOLDER / "bigram" / "model.onnx"
EXTRA = "model/extra/makemore.json"


@pytest.fixture
def expected(bigram):
    return bigram.sample(20, seed=1)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO], ids=str)
def test_the_bytes_of_a_file_are_an_artifact(kind, expected):
    sampler = makemore.load(kind(FILE.read_bytes()))
    assert sampler.sample(20, seed=1) == expected


def test_an_open_file_is_an_artifact(expected):
    with FILE.open("rb") as file:
        assert makemore.load(file).sample(20, seed=1) == expected


def test_a_tilde_is_the_home_folder(monkeypatch, expected):
    monkeypatch.setenv("HOME", str(FOLDER))
    assert makemore.load("~/bigram").sample(20, seed=1) == expected
    assert makemore.load(Path("~/bigram/model.onnx")).sample(20, seed=1) == expected


class Pipe(io.RawIOBase):
    """A file without a buffer, of which a call reads what is there."""

    def __init__(self, data: bytes) -> None:
        self.rest = io.BytesIO(data)

    def readable(self):
        return True

    def read(self, size=-1):
        return self.rest.read(min(size, 100))


def test_an_open_file_is_read_until_it_ends(expected):
    data = FILE.read_bytes()
    assert makemore.load(Pipe(data)).sample(20, seed=1) == expected
    with pytest.raises(ArtifactError, match="more than max_bytes = 150"):
        makemore.load(Pipe(data), max_bytes=150)


@pytest.mark.parametrize("path", ["~no-such-user/names", "a" * 5000, "names\0"])
def test_a_path_that_cannot_be_is_no_artifact(path):
    with pytest.raises(ArtifactError, match=r"^'?[~an]"):
        makemore.load(path)


@pytest.mark.parametrize(
    "artifact", [None, 3, ["names"], io.StringIO("text")], ids=lambda it: type(it).__name__
)
def test_what_is_no_artifact_at_all_is_refused(artifact):
    with pytest.raises(OptionError, match="an artifact is a path, bytes, or a file opened in bin"):
        makemore.load(artifact)


def test_bytes_that_are_no_model_are_refused():
    with pytest.raises(ArtifactError, match="cannot load the bytes given: "):
        makemore.load(b"hello")


def archive(path, text="{}", name=EXTRA, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("model/code/step.py", "pass" * 100)
        file.writestr(name, text)
    return path


def refuse(path, message, **options):
    with pytest.raises(ArtifactError, match=message):
        read_metadata(path, str(path), **{"max_bytes": 2**20} | options)


def test_a_torchscript_file_is_opened_on_trust_alone(tmp_path):
    path = archive(tmp_path / "model.ts")
    for artifact in (path, path.read_bytes()):
        with pytest.raises(ArtifactError, match=r"a TorchScript file is a program.*trust=True"):
            makemore.load(artifact)


def test_a_folder_that_has_only_a_torchscript_file_says_so(tmp_path):
    archive(tmp_path / "model.ts")
    with pytest.raises(ArtifactError, match=r"holds no model.onnx; its model.ts is a program"):
        makemore.load(tmp_path, trust=True)


def test_a_torchscript_file_that_is_not_ours_is_refused_on_trust(tmp_path):
    with pytest.raises(ArtifactError, match="missing required field `schema`"):
        makemore.load(archive(tmp_path / "model.ts"), trust=True)
    with pytest.raises(ArtifactError, match="not a TorchScript file made by mm-export"):
        makemore.load(archive(tmp_path / "model.ts", name="model/extra/other.json"), trust=True)


def test_without_pytorch_a_torchscript_file_says_what_is_missing(tmp_path, monkeypatch, bigram):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = archive(tmp_path / "model.ts", bigram.artifact.to_json())
    with pytest.raises(MissingDependencyError, match="pip install 'makemore\\[export\\]'"):
        makemore.load(path, trust=True)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_metadata_is_read_from_an_archive(tmp_path, compression):
    path = archive(tmp_path / "model.ts", '{"a": 1}', compression=compression)
    assert read_metadata(path, "a test", 2**20) == b'{"a": 1}'
    assert read_metadata(path.read_bytes(), "a test", 2**20) == b'{"a": 1}'


def test_an_archive_that_unpacks_to_more_than_it_may_is_refused_before_it_does(tmp_path):
    path = tmp_path / "model.ts"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model/data/0", bytes(2**22))
        file.writestr(EXTRA, "{}")
    assert path.stat().st_size < 2**14
    refuse(path, "it unpacks to 4194306 bytes, more than max_bytes = 1048576")
    assert read_metadata(path, "a test", 2**23) == b"{}"


def test_metadata_of_more_bytes_than_any_has_is_refused(tmp_path):
    text = "x" * (2**24 + 1)
    path = archive(tmp_path / "model.ts", text, compression=zipfile.ZIP_DEFLATED)
    refuse(path, "16777217 bytes of metadata; the limit is 16777216", max_bytes=2**30)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_oddly_compressed_archive_is_refused(tmp_path, method):
    refuse(archive(tmp_path / "model.ts", compression=method), f"compressed by method {method}")


def changed(path, offset_in_entry, value):
    """The archive with two bytes of each entry of its central directory replaced."""
    data = bytearray(path.read_bytes())
    at = 0
    while (at := data.find(b"PK\1\2", at)) >= 0:
        struct.pack_into("<H", data, at + offset_in_entry, value)
        at += 4
    path.write_bytes(data)
    return path


def test_an_encrypted_archive_is_refused(tmp_path):
    refuse(changed(archive(tmp_path / "model.ts"), 8, 1), "is encrypted")


def test_an_archive_of_an_unknown_method_is_refused(tmp_path):
    refuse(changed(archive(tmp_path / "model.ts"), 10, 99), "compressed by method 99")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_broken_archive_is_refused_wherever_it_is_broken(tmp_path, compression):
    data = archive(tmp_path / "model.ts", "{" * 300, compression=compression).read_bytes()
    for at in range(len(data)):
        broken = bytes([*data[:at], data[at] ^ 0xFF, *data[at + 1 :]])
        with contextlib.suppress(ArtifactError):
            assert read_metadata(broken, "a test", 2**20) == b"{" * 300
