"""Files that are compressed, in another encoding, or no text at all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
from commands import run
from makemore.commands.sample import sample as mm_sample
from makemore.commands.score import score as mm_score
from makemore.errors import DataError, MissingDependencyError
from makemore.reading import compression
from makemore.reading.compression import unpacked
from makemore.reading.decoding import decode, refuse_nul

FOLDER = Path(__file__).parent / "artifacts"
BIGRAM = FOLDER / "bigram"
TEXT = b"abc\nba\n"
PACK = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}


def zstd():
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:  # noqa: PERF203
            continue
    pytest.skip("no zstd: pip install backports.zstd")


@pytest.mark.parametrize("name", PACK)
def test_a_compressed_file_is_read_as_what_is_in_it(name):
    for data in (b"", TEXT, TEXT * 10_000):
        assert unpacked("text", PACK[name](data)) == (data, name)
    assert unpacked("text", PACK[name](b"ab") + PACK[name](b"c")) == (b"abc", name)


def test_zstd_is_read_as_what_is_in_it():
    packed = zstd().compress(TEXT)
    assert unpacked("text", packed + packed) == (TEXT * 2, "zstd")
    with pytest.raises(DataError, match="zstd that cannot be unpacked"):
        unpacked("text", packed[:-3])


def test_zstd_without_its_package_names_the_package(monkeypatch):
    monkeypatch.setattr(compression, "import_module", lambda name: import_module("no_such"))
    with pytest.raises(MissingDependencyError, match=r"pip install backports\.zstd, or unpack it"):
        unpacked("text", b"\x28\xb5\x2f\xfd")


@pytest.mark.parametrize("name", PACK)
def test_a_file_that_was_cut_or_changed_is_refused(name):
    packed = PACK[name](TEXT * 100)
    for broken in (packed[:-5], packed[:-9] + b"?" * 9):
        with pytest.raises(DataError, match=f"text: {name} that cannot be unpacked"):
            unpacked("text", broken)


@pytest.mark.parametrize("name", PACK)
def test_what_unpacks_to_more_than_the_limit_is_refused(name):
    packed = PACK[name](bytes(3_000_001))
    assert len(unpacked("text", packed, limit=3_000_001)[0]) == 3_000_001
    with pytest.raises(DataError, match=r"3,000,000, the limit .* unpack it first \(\w+ -d"):
        unpacked("text", packed, limit=3_000_000)


def test_text_that_begins_like_a_compressed_file_is_text():
    assert unpacked("text", b"BZhang\n") == (b"BZhang\n", None)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["le", "be"])
def test_a_byte_order_mark_tells_the_encoding(encoding, end):
    data = "\ufeffzoë".encode(f"{encoding}-{end}")
    assert decode("text", data) == ("zoë", encoding)


def test_an_encoding_that_was_named_is_not_overruled():
    assert decode("text", b"\xff\xfea", "latin-1") == ("ÿþa", "latin-1")


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name in names:
            opened.writestr(name, "a")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (archive("names.txt"), "a zip archive"),
        (archive("model/data.pkl"), "a PyTorch checkpoint"),
        (archive("[Content_Types].xml"), "an Office document"),
        (archive("a.npy"), "a NumPy archive"),
        (pickle.dumps({"a": 1}), "a pickle"),
        ((2).to_bytes(8, "little") + b"{}", "a safetensors file"),
        ((BIGRAM / "model.onnx").read_bytes(), "an ONNX model"),
        (b"\x89PNG\r\n\x1a\n\0", "a PNG picture"),
        (b"a" * 257 + b"ustar\0", "a tar archive"),
        (b"PAR1\0PAR1", "a Parquet table"),
    ],
)
def test_what_is_no_text_is_named(data, kind):
    with pytest.raises(DataError, match=f"text: is {kind}.*; a text is needed"):
        decode("text", data)


@pytest.mark.parametrize("name", PACK)
def test_what_was_packed_twice_is_named(name):
    data, _ = unpacked("text", gzip.compress(PACK[name](TEXT)))
    with pytest.raises(DataError, match=f"text: is {name} once it is unpacked"):
        decode("text", data)


def test_words_that_begin_like_another_file_are_text():
    assert decode("text", b"PAR1\nGGUF\n").text == "PAR1\nGGUF\n"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_suggested(encoding):
    data = "emma\nava".encode(encoding)
    with pytest.raises(DataError, match=f"looks like --encoding {encoding}"):
        refuse_nul("text", data, decode("text", data))


def test_commands_read_compressed_files_and_standard_input(tmp_path):
    plain, _ = run(mm_score, BIGRAM, stdin=TEXT)
    (tmp_path / "text.gz").write_bytes(gzip.compress(TEXT))
    assert run(mm_score, BIGRAM, tmp_path / "text.gz")[0] == plain
    assert run(mm_score, BIGRAM, "-", stdin=lzma.compress(TEXT))[0] == plain
    assert run(mm_score, BIGRAM, stdin="\ufeffabc\nba".encode("utf-16-le"))[0] == plain
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(b"text,n\nabc,1\nba,2\n"))
    assert run(mm_score, BIGRAM, tmp_path / "table.csv.gz")[0] == plain
    (tmp_path / "prefixes.gz").write_bytes(gzip.compress(b"ab\n"))
    out, _ = run(mm_sample, BIGRAM, "-n", 2, "--seed", 1, "--prefixes", tmp_path / "prefixes.gz")
    assert all(line.startswith("ab") for line in out.splitlines())
