"""Tables that the commands write and read."""

import csv
import io
import json

import makemore
import pytest
from commands import run
from makemore.commands.columns import read_column
from makemore.commands.sample import sample
from makemore.commands.score import score
from makemore.commands.tables import format_of, open_table
from makemore.errors import MissingDependencyError, OptionError
from pyarrow import parquet
from tiny_artifacts import FOLDER

BIGRAM = FOLDER / "bigram"
ODD = [
    *("plain", 'quo"te', "com,ma", "line\nend", "tab\tand \x1b[31m", "😀 é", ""),
    *("return\rhere", "\r", "a\r\nb", " spaces ", "\x85\u2028", "=1+1", "'"),
]
COLUMNS = {"text": "string", "number": "float64"}


def failed(*arguments):
    """What a command says that was given bad input."""
    return run(*arguments, code=2)[1]


def rows():
    return [{"text": text, "number": float(i)} for i, text in enumerate(ODD)]


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet"])
def test_strings_come_back_as_they_were(tmp_path, name):
    path = tmp_path / f"table.{name}"
    with open_table(path, format_of(path, None), COLUMNS, lambda row: row["text"]) as write:
        write(rows()[:3])
        write(rows()[3:])
    assert [text for _, text in read_column(path, name, "text", "utf-8")] == ODD
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_parquet_needs_a_file_and_its_package(tmp_path, monkeypatch):
    message = "parquet is written to a file: name one with -o"
    assert message in failed(sample, BIGRAM, "--format", "parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    path = tmp_path / "table.parquet"
    message = r'parquet needs the package pyarrow: pip install "makemore\[table\]"'
    with (
        pytest.raises(MissingDependencyError, match=message),
        open_table(path, "parquet", COLUMNS, str),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"tex', "a.jsonl, line 2: it is not JSON"),
        ("a.jsonl", b'{"text": "a"}\n{"word": "b"}', "a.jsonl, line 2: it has no 'text'"),
        ("a.jsonl", b"[" * 100_000, "a.jsonl, line 1: it is not JSON"),
        ("a.jsonl", b'\n\n{"text": 3}', "a.jsonl, line 3: text is 3; it must be a string"),
        ("a.jsonl", b'\n\n{"text": "?"}', "a.jsonl, line 3: character '?'"),
        ("a.csv", b'x,text\n1,"?"\n', "a.csv, line 2: character '?'"),
        ("a.csv", b"x,text\n1\n", "a.csv, line 2: text is None; it must be a string"),
        ("a.csv", b"", "a.csv: it has no column 'text'; it has []"),
        ("a.csv", b"word\na\n", "a.csv: it has no column 'text'; it has ['word']"),
        ("a.csv", b"text,text\na,b\n", "a.csv: it has 2 columns 'text'; 1 is the limit"),
        ("a.csv", b'text\n"a', "a.csv, line 2: it is not CSV"),
        ("a.csv", b"text\n\xff", "a.csv: byte 5 is not utf-8"),
        ("a.parquet", b"PAR1", "a.parquet: it is not Parquet"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert message in failed(score, BIGRAM, tmp_path / name)


def test_parquet_that_is_broken_or_lacks_the_column_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    with open_table(path, "parquet", COLUMNS, str) as write:
        write(rows())
    whole = path.read_bytes()
    error = failed(score, BIGRAM, path, "--column", "word")
    assert "a.parquet: it has no column 'word'; it has ['text', 'number']" in error
    for at in range(4, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read_column(path, "parquet", "text", "utf-8")
        except OptionError as error:
            assert str(error).startswith(str(path))
    path.write_bytes(whole)
    assert "a.parquet, row 1: character" in failed(score, BIGRAM, path)


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "text\nab\n"), ("a.jsonl", '{"text":"ab"}')]
)
def test_a_byte_order_mark_is_dropped(tmp_path, name, content):
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert run(score, BIGRAM, tmp_path / name)[0].endswith("\tab\n")


def test_samples_are_written_in_every_format(tmp_path):
    made = makemore.load(BIGRAM).sample_ids(40, seed=3)
    options = ["-n", 40, "--seed", 3]
    out, _ = run(sample, BIGRAM, *options, "--format", "csv")
    read = list(csv.DictReader(io.StringIO(out)))
    assert [row["text"] for row in read] == [each.text for each in made]
    assert [int(row["row"]) for row in read] == [each.row for each in made]
    out, _ = run(sample, BIGRAM, *options, "--format", "jsonl")
    assert [json.loads(line) for line in out.splitlines()] == [each.to_dict() for each in made]
    assert run(sample, BIGRAM, *options, "--json")[0] == out
    path = tmp_path / "made.parquet"
    assert run(sample, BIGRAM, *options, "-o", path) == ("", "")
    table = parquet.read_table(path).to_pydict()
    assert table["text"] == [each.text for each in made]
    assert table["log_prob"] == [each.log_prob for each in made]
    assert table["seed"] == [3] * 40


def test_a_table_of_samples_is_scored(tmp_path):
    run(sample, BIGRAM, "-n", 10, "--seed", 3, "-o", tmp_path / "made.csv")
    strings = makemore.load(BIGRAM).sample(10, seed=3)
    out, _ = run(score, BIGRAM, tmp_path / "made.csv", "--format", "jsonl", "--tokens")
    rows = [json.loads(line) for line in out.splitlines()]
    expected = makemore.load(BIGRAM).score_tokens(strings)
    assert [row["text"] for row in rows] == strings
    assert [row["token_log_probs"] for row in rows] == [each.tolist() for each in expected]
    assert [row["log_prob"] for row in rows] == pytest.approx([each.sum() for each in expected])
    each_token = [each.tolist() for each in expected]
    out, _ = run(score, BIGRAM, tmp_path / "made.csv", "--format", "csv", "--tokens")
    read = csv.DictReader(io.StringIO(out))
    assert [json.loads(row["token_log_probs"]) for row in read] == each_token
    run(score, BIGRAM, tmp_path / "made.csv", "--tokens", "-o", tmp_path / "scored.parquet")
    table = parquet.read_table(tmp_path / "scored.parquet").to_pydict()
    assert table["token_log_probs"] == each_token
    error = failed(score, BIGRAM, tmp_path / "made.csv", "--format", "jsonl", "--json")
    assert "--json cannot be used with --format or -o" in error


def test_a_named_column_and_format_are_read(tmp_path):
    (tmp_path / "data").write_text("word,other\nab,1\nc,2\n")
    out, _ = run(score, BIGRAM, tmp_path / "data", "--from", "csv", "--column", "word")
    assert [line.split("\t")[1] for line in out.splitlines()] == ["ab", "c"]


def test_the_likeliest_strings_and_what_may_follow_are_printed():
    found = makemore.load(BIGRAM).most_likely(4, suffix="a")
    out, err = run(sample, BIGRAM, "--most-likely", 4, "--suffix", "a")
    pairs = zip(found.probabilities, found.strings, strict=True)
    assert out == "".join(f"{p:.6f}\t{text}\n" for p, text in pairs)
    assert err == f"4 strings, {found.mass:.4%} of all\n"
    out, _ = run(sample, BIGRAM, "--next", "a", "--format", "jsonl")
    expected = makemore.load(BIGRAM).next_tokens("a")
    assert [json.loads(line)["token"] for line in out.splitlines()] == [e.text for e in expected]


def test_prefixes_of_a_file_are_completed(tmp_path):
    (tmp_path / "prefixes").write_text("a\nbc\n")
    out, _ = run(sample, BIGRAM, "--prefixes", tmp_path / "prefixes", "-n", 3, "--seed", 1)
    completed = makemore.load(BIGRAM).complete(["a", "bc"], 3, seed=1)
    assert out.splitlines() == [text for texts in completed for text in texts]


def test_strings_of_a_file_do_not_pass(tmp_path):
    (tmp_path / "known").write_text("a\nb\nab\n")
    out, _ = run(sample, BIGRAM, "-n", 50, "--seed", 1, "--not-in", tmp_path / "known", "--unique")
    made = out.splitlines()
    assert len(made) == len({*made}) == 50
    assert not {*made} & {"a", "b", "ab", ""}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--most-likely", 3, "--seed", 1], "--seed has no meaning with --most-likely"),
        (["--next", "a", "--suffix", "b"], "--suffix has no meaning with --next"),
        (["--next", "a", "-n", 3], "-n has no meaning with --next"),
        (["--next", "a", "--most-likely", 3], "--most-likely and --next cannot be used together"),
        (["--json", "--format", "csv"], "--json cannot be used with --format csv"),
        (["--prefixes", "no"], "no: cannot be read: No such file or directory"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(arguments, message):
    assert message in failed(sample, BIGRAM, *arguments)
