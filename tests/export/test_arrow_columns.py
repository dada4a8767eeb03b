"""Tables in Parquet and Arrow files."""

from __future__ import annotations

import re
import sys

import pytest
from makemore.errors import DataError, MissingDependencyError
from makemore_export.data import arrow_columns
from makemore_export.data.labels import labels_of
from makemore_export.data.reading import Reading
from makemore_export.data.text import read_text

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
NAMES = ["Anna, B", " \u0130van ", None, "", "two\r\nlines", "Anna, B"]
NAME = Reading(column="name")


def written(folder, kind, **columns):
    path = folder / f"table.{kind}"
    table = arrow.table(columns)
    if kind == "parquet":
        parquet.write_table(table, path, row_group_size=4)
    else:
        with arrow.OSFile(str(path), "wb") as sink, arrow.ipc.new_file(sink, table.schema) as file:
            file.write_table(table, max_chunksize=4)
    return path


@pytest.fixture(params=["parquet", "arrow"])
def kind(request):
    return request.param


@pytest.mark.parametrize("rows", [2, 1 << 16])
@pytest.mark.parametrize("type_of", [arrow.string(), arrow.large_string(), "dictionary"])
def test_a_column_is_read_as_that_of_a_csv(tmp_path, monkeypatch, kind, rows, type_of):
    monkeypatch.setattr(arrow_columns, "_ROWS", rows)
    column = arrow.array(NAMES)
    column = column.dictionary_encode() if type_of == "dictionary" else column.cast(type_of)
    text = read_text(written(tmp_path, kind, name=column), NAME)
    assert text.lines == ["Anna, B", "\u0130van", "two\nlines", "Anna, B"]
    assert [*text.numbers] == [1, 2, 5, 6]
    assert (text.blank, text.duplicates, text.encoding) == (2, 1, "utf-8")


def test_a_column_of_labels_goes_before(tmp_path, kind):
    path = written(tmp_path, kind, name=["Anna", "Bob"], sex=["f", "m"])
    text = read_text(path, Reading(column="name", label_column="sex", lower=True))
    assert text.lines == ["f\tanna", "m\tbob"]
    assert labels_of(text) == ("f", "m")


@pytest.mark.parametrize(
    ("columns", "reading", "message"),
    [
        ({"name": [1]}, NAME, "column 'name' is of int64; it must be of strings"),
        ({"name": ["a\0"]}, NAME, "column 'name' has a NUL"),
        ({"n": ["a"]}, NAME, re.escape("it has no column 'name'; it has ['n']")),
        ({"name": ["a"]}, Reading(), r"is a (Parquet|Arrow) table: --column NAME"),
        ({"name": [""]}, NAME, "no line holds anything, of 1"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path, kind, columns, reading, message
):
    path = written(tmp_path, kind, **columns)
    with pytest.raises(DataError, match=message):
        read_text(path, reading)


def test_a_damaged_table_is_refused(tmp_path, kind):
    path = written(tmp_path, kind, name=["anna"] * 100)
    whole = path.read_bytes()
    for size in range(8, len(whole), 17):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="it is not"):
            read_text(path, NAME)


def test_a_small_table_that_unpacks_to_much_is_refused(tmp_path, monkeypatch, kind):
    path = written(tmp_path, kind, name=["anna" * 9] * 1000)
    monkeypatch.setattr(arrow_columns, "MAX_UNPACKED", 100)
    monkeypatch.setattr(arrow_columns, "_RATIO", 0)
    with pytest.raises(DataError, match="unpack to more than"):
        read_text(path, NAME)


def test_without_pyarrow_the_error_holds_the_cure(tmp_path, monkeypatch, kind):
    path = written(tmp_path, kind, name=["anna"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "makemore\[table\]"'):
        read_text(path, NAME)
