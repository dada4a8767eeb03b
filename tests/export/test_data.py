"""The text file, its split and its tokens."""

from __future__ import annotations

import gzip
import hashlib
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from makemore.commands.score import read_strings
from makemore.errors import DataError, OptionError
from makemore.vocabulary import Vocabulary
from makemore_export.data.encoded_strings import PADDING, EncodedStrings
from makemore_export.data.labels import labels_of
from makemore_export.data.mojibake import Mojibake, find_mojibake
from makemore_export.data.reading import Reading
from makemore_export.data.splits import parse_split, split
from makemore_export.data.text import BUILTIN, read_text


def written(folder: Path, data: bytes) -> Path:
    path = folder / "text.txt"
    path.write_bytes(data)
    return path


def test_text_is_stripped_and_what_was_met_is_counted(tmp_path):
    data = "\ufeffemma \r\n\r\n\tava\nemma\r\r\nzoë\n".encode()
    text = read_text(written(tmp_path, data))
    assert text.lines == ("emma", "ava", "emma", "zoë")
    assert [*text.numbers] == [1, 3, 4, 6]
    assert (text.blank, text.duplicates, text.crlf, text.bom) == (2, 1, 3, True)
    assert (text.name, text.sha256) == ("text.txt", hashlib.sha256(data).hexdigest())


def test_only_line_ends_of_files_end_a_line(tmp_path):
    text = read_text(written(tmp_path, "a\u2028b\x0cc\x85d\ne".encode()))
    assert text.lines == ("a\u2028b\x0cc\x85d", "e")


@given(st.text(alphabet="ab \t\n\r\u2028\x85\x0c\ufeff", max_size=20))
def test_the_runtime_scores_the_lines_that_a_model_is_trained_on(tmp_path_factory, text):
    path = written(tmp_path_factory.mktemp("text"), text.encode())
    try:
        trained_on = read_text(path)
    except DataError:
        with pytest.raises(OptionError, match="holds no line to score"):
            read_strings(path, None, "text", "utf-8")
    else:
        scored = read_strings(path, None, "text", "utf-8")
        assert scored == [*zip(trained_on.numbers, trained_on.lines, strict=True)]


def test_text_is_decoded_as_told(tmp_path):
    assert read_text(written(tmp_path, b"zo\xeb\n"), Reading(encoding="latin-1")).lines == ("zoë",)
    assert read_text(
        written(tmp_path, "zoë\r\nava".encode("utf-16-le")), Reading(encoding="utf-16-le")
    ).lines == ("zoë", "ava")


def test_the_shipped_text_is_names_without_repeats():
    text = read_text()
    assert (text.name, len(text.lines)) == (BUILTIN, 29693)
    assert (text.blank, text.duplicates, text.crlf, text.bom) == (0, 0, 0, False)
    assert set("".join(text.lines)) == set("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (b"", "utf-8", "no line holds anything, of 0"),
        (b" \n\r\n\t\n", "utf-8", "no line holds anything, of 3"),
        (b"emma\n\x00\x01", "utf-8", "character 5 is NUL"),
        (b"emma\n", "undefined", "cannot be read as undefined"),
        (b"emma\nzo\xeb\n", "utf-8", "byte 7 is not utf-8.*--encoding"),
        (b"emma", "klingon", "'klingon' is not an encoding of text"),
        (b"emma", "hex", "'hex' is not an encoding of text"),
    ],
)
def test_an_unusable_text_is_refused_with_the_reason(tmp_path, data, encoding, message):
    with pytest.raises(DataError, match=message):
        read_text(written(tmp_path, data), Reading(encoding=encoding))


def test_a_text_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_text(tmp_path / "missing.txt")
    with pytest.raises(DataError, match="Is a directory"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("text", "percents"),
    [
        ("80/10/10", (80, 10, 10)),
        ("100/0/0", (100, 0, 0)),
        ("100", (100, 0, 0)),
        ("90/10", (90, 10, 0)),
        ("33.1/33.7/33.2", (33.1, 33.7, 33.2)),
        ("0.1/66.6/33.3", (0.1, 66.6, 33.3)),
    ],
)
def test_split_is_parsed(text, percents):
    assert parse_split(text) == percents


@pytest.mark.parametrize(
    "text",
    [
        *["", "80", "80/10/5/5", "0/100", "110/-10", "a/b", "nan/10/10", "80/nan/20"],
        *["nan/inf/-inf", "inf/0/0", "1e308/1e308/1e308", "80/10/9.99999", "80/10/10.00001"],
    ],
)
def test_a_split_that_is_not_percentages_of_a_whole_is_refused(text):
    with pytest.raises(DataError, match="must be percentages"):
        parse_split(text)


def test_percentages_that_sum_to_a_whole_but_for_rounding_leave_no_line_out():
    lines = [str(i) for i in range(1000)]
    parts = split(lines, parse_split("33.1/33.7/33.2"), seed=1)
    assert sorted(chain(*parts.values())) == sorted(lines)
    assert [len(part) for part in parts.values()] == [331, 337, 332]


def test_no_line_is_in_two_parts():
    lines = [f"name{i % 60}" for i in range(100)]
    splits = split(lines, (80, 10, 10), seed=3)
    assert {name: len(lines) for name, lines in splits.items()} == {
        "train": 48,
        "dev": 6,
        "test": 6,
    }
    assert sorted(chain(*splits.values())) == sorted(set(lines))


def test_kept_duplicates_are_all_there():
    lines = ["a", "a", "b", "b", "b"]
    assert sorted(split(lines, (100, 0, 0), seed=3, keep_duplicates=True)["train"]) == lines


def test_split_depends_on_the_seed_alone():
    lines = [str(i) for i in range(50)]
    assert split(lines, (80, 10, 10), seed=1) == split(lines, (80, 10, 10), seed=1)
    assert split(lines, (80, 10, 10), seed=1) != split(lines, (80, 10, 10), seed=2)


def test_a_part_without_lines_is_refused():
    with pytest.raises(DataError, match="10% of 3 lines leaves none for test"):
        split(["a", "b", "c"], (80, 10, 10), seed=1)


@given(st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=20), st.data())
def test_a_batch_is_the_padded_strings(lines, data):
    vocabulary = Vocabulary.of(lines)
    rows = data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=1, max_size=5))
    inputs, targets = EncodedStrings(lines, vocabulary).batch(torch.tensor(rows))
    time = max(len(lines[row]) for row in rows) + 1
    for i, row in enumerate(rows):
        ids, padding = vocabulary.encode(lines[row]), time - len(lines[row]) - 1
        assert inputs[i].tolist() == [0, *ids, *[0] * padding]
        assert targets[i].tolist() == [*ids, 0, *[PADDING] * padding]


def test_joined_strings_are_those_of_both():
    vocabulary = Vocabulary("abc")
    one, other = ["a", "", "abc"], ["ccccc", "b"]
    joined = EncodedStrings(one, vocabulary).joined(EncodedStrings(other, vocabulary))
    both = EncodedStrings(one + other, vocabulary)
    rows = torch.arange(5)
    assert joined.token_count == both.token_count
    assert torch.equal(joined.tokens, both.tokens)
    for found, expected in zip(joined.batch(rows), both.batch(rows), strict=True):
        assert torch.equal(found, expected)


def test_batches_hold_every_string_once(monkeypatch):
    monkeypatch.setattr("makemore_export.data.encoded_strings._TOKENS_PER_BATCH", 12)
    lines = ["abc", "a", "bb", "ccc", "a", "cab"]
    vocabulary = Vocabulary.of(lines)
    found = []
    for _, targets in EncodedStrings(lines, vocabulary).batches():
        assert targets.numel() <= 12
        found += [row[row > 0].tolist() for row in targets]
    assert sorted(found) == sorted(vocabulary.encode(line) for line in lines)


def test_a_compressed_text_is_the_text_in_it(tmp_path):
    data = b"emma\nava\n"
    (tmp_path / "text.txt.gz").write_bytes(gzip.compress(data))
    packed, plain = read_text(tmp_path / "text.txt.gz"), read_text(written(tmp_path, data))
    assert (packed.lines, packed.sha256) == (plain.lines, plain.sha256)
    assert (packed.compression, plain.compression) == ("gzip", None)


def test_utf_16_is_told_by_its_mark(tmp_path):
    text = read_text(written(tmp_path, "zoë\r\nava".encode("utf-16")))
    assert (text.lines, text.encoding) == (("zoë", "ava"), "utf-16")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["JosÃ©", "ava", "ZoÃ«"], Mojibake(2, "JosÃ©", "José")),
        (["so\nit isnâ€™t", "ava"], Mojibake(1, "isnâ€™t", "isn’t")),
        (["José", "Ã", "São Paulo", "Ünal", "Ã©\u4e2d"], None),
    ],
)
def test_utf_8_read_as_another_encoding_is_found(lines, found):
    assert find_mojibake(lines) == found


@given(st.text(st.characters(min_codepoint=0x80, max_codepoint=0x2FFF), min_size=1, max_size=9))
def test_whatever_was_read_as_latin_1_is_found(line):
    assert find_mojibake([line.encode().decode("latin-1")]) == Mojibake(
        1, line.encode().decode("latin-1"), line
    )


TABLE = 'name,sex,n\r\n"Anna, B",f,1\r\n\u0130van,m,2\r\n ,m,3\r\n"two\r\nlines",f,4\r\n'


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_column_of_a_table_is_read(tmp_path, delimiter):
    table = TABLE.replace("Anna, B", "Anna B").replace(",", delimiter)
    text = read_text(written(tmp_path, table.encode()), Reading(column="name"))
    assert text.lines == ("Anna B", "\u0130van", "two\nlines")
    assert ([*text.numbers], text.blank) == ([2, 3, 6], 1)


def test_a_column_gives_the_labels(tmp_path):
    reading = Reading(column="name", label_column="sex")
    text = read_text(written(tmp_path, TABLE.encode()), reading)
    assert text.lines == ("f\tAnna, B", "m\t\u0130van", "f\ttwo\nlines")
    assert labels_of(text) == ("f", "m")


def test_lines_are_normalised_as_told(tmp_path):
    path = written(tmp_path, "Zoe\u0308\nZO\u00cb\n".encode())
    assert read_text(path).lines == ("Zoe\u0308", "ZO\u00cb")
    assert read_text(path, Reading(nfc=True)).lines == ("Zo\u00eb", "ZO\u00cb")
    both = read_text(path, Reading(lower=True, nfc=True))
    assert (both.lines, both.duplicates) == (("zo\u00eb", "zo\u00eb"), 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"sex,name\nf,anna\nm\n", "line 3 has no 'name': it is too short"),
        (b"sex;n\nf;1\n", r"it has no column 'name'; it has \['sex', 'n'\]"),
        (b'sex,name\n"f\nm",anna\n', "has the label 'f.nm'; no tab or line end"),
        (b'sex,name\nf,"anna\n', "line 2: it is not CSV"),
        (b"sex,name\nf,\n", "no line holds anything, of 1"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_reason(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        read_text(written(tmp_path, data), Reading(column="name", label_column="sex"))


def test_a_column_of_labels_needs_one_of_texts():
    with pytest.raises(OptionError, match="--label-column sex needs --column"):
        Reading(label_column="sex")
