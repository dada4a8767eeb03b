import csv
import json
import os
import shlex
import subprocess
import sys

import makemore
import pytest
import tiny_models
from click.testing import CliRunner
from commands import run
from makemore.commands.bench.command import bench
from makemore.commands.sample import sample
from makemore.commands.score import score
from makemore_export.commands.inspect import main as inspect
from pyarrow import parquet
from tiny_artifacts import FOLDER, build

BIGRAM = str(FOLDER / "bigram")
SPARSE = str(FOLDER / "sparse")
LABELS = str(FOLDER / "schema-3" / "labels")


def renamed(folder, *tokens):
    """The artifact of a bigram model with other tokens than a, b and c."""
    model = build(tiny_models.BIGRAM)
    metadata = json.loads(model.metadata_props[0].value)
    metadata["tokens"] = tokens
    metadata["golden"]["strings"] = []
    model.metadata_props[0].value = json.dumps(metadata)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


@pytest.fixture
def lines(tmp_path):
    """An artifact whose strings have several lines."""
    return renamed(tmp_path, "\n", "a", "b")


def test_sample_prints_the_strings_of_the_library_one_a_line_and_nothing_else():
    out, err = run(sample, BIGRAM, "-n", 30, "--seed", 7)
    assert out == "".join(f"{text}\n" for text in makemore.load(BIGRAM).sample(30, seed=7))
    assert err == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.3),
        ("top_k", 2),
        ("top_p", 0.5),
        ("min_p", 0.9),
        ("prefix", "ab"),
        ("exclude", "c"),
        ("max_length", 2),
        ("seed", 2**64 - 1),
        ("first_row", 3),
        ("batch_size", 1),
    ],
)
def test_sample_passes_an_option_on(name, value):
    options = {"seed": 7, name: value}
    flags = [f"--{option.replace('_', '-')}={given}" for option, given in options.items()]
    out, _ = run(sample, BIGRAM, "-n", 40, "--threads", 2, "--device", "auto", *flags)
    assert out.splitlines() == makemore.load(BIGRAM).sample(40, **options)
    changes_nothing = out == run(sample, BIGRAM, "-n", 40, "--seed", 7)[0]
    assert changes_nothing == (name == "batch_size")


def test_sample_without_a_seed_says_which_it_took():
    out, err = run(sample, BIGRAM, "-n", 30)
    word, seed = err.split()
    assert word == "seed"
    assert run(sample, BIGRAM, "-n", 30, "--seed", seed) == (out, "")


def test_sample_in_json_is_one_object_a_line_with_all_results():
    out, _ = run(sample, SPARSE, "-n", 20, "--seed", 7, "--json")
    expected = makemore.load(SPARSE).sample_ids(20, seed=7)
    assert [json.loads(line) for line in out.splitlines()] == [
        {**made._asdict(), "ids": made.ids.tolist()} for made in expected
    ]


def test_samples_of_a_model_with_labels_have_their_label_in_tables(tmp_path):
    sampler = makemore.load(LABELS)
    words = [LABELS, "-n", 20, "--seed", 7]
    vocabulary = sampler.vocabulary
    made = sampler.sample_ids(20, seed=7)
    labels = [vocabulary.labels[each.ids[0] - vocabulary.first_label] for each in made]
    assert {*labels} == {*vocabulary.labels}
    rows = [json.loads(line) for line in run(sample, *words, "--json")[0].splitlines()]
    expected = zip(made, labels, strict=True)
    assert rows == [each.to_dict() | {"label": label} for each, label in expected]
    out, _ = run(sample, *words, "--format", "csv")
    assert [row["label"] for row in csv.DictReader(out.splitlines())] == labels
    run(sample, *words, "-o", tmp_path / "made.parquet")
    assert parquet.read_table(tmp_path / "made.parquet")["label"].to_pylist() == labels
    assert run(sample, *words)[0].splitlines() == [each.text for each in made]
    assert "label" not in run(sample, BIGRAM, "--format", "csv")[0]


def test_a_label_of_the_command_line_is_in_the_table_too():
    words = [LABELS, "-n", 5, "--seed", 7, "--label"]
    for label in makemore.load(LABELS).artifact.labels:
        rows = run(sample, *words, label, "--json")[0].splitlines()
        assert [json.loads(row)["label"] for row in rows] == [label] * 5


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        ("a \n", ["a "]),
        (" a\n\nb a  \n", [" a", "", "b a  "]),
        ("a\r\nb\r ", ["a", "b", " "]),
        ("\n", [""]),
        ("a\n\n", ["a", ""]),
        ("\ufeffa", ["a"]),
        ("", []),
    ],
)
def test_a_prefix_is_a_whole_line(tmp_path, text, prefixes):
    spaced = renamed(tmp_path, " ", "a", "b")
    (tmp_path / "prefixes").write_bytes(text.encode())
    for path in ("-", tmp_path / "prefixes"):
        words = ["--prefixes", path, "-n", 2, "--seed", 1, "--json"]
        rows = [json.loads(row) for row in run(sample, spaced, *words, stdin=text)[0].splitlines()]
        assert [row["prefix"] for row in rows] == [each for each in prefixes for _ in range(2)]
        made = makemore.load(spaced).complete(prefixes, 2, seed=1)
        assert [row["text"] for row in rows] == [each for texts in made for each in texts]


def test_prefixes_of_several_lines_are_between_separators(lines):
    words = ["--prefixes", "-", "--separator", r"\n%\n", "-n", 1, "--json"]
    out, _ = run(sample, lines, *words, stdin="a\na\n%\na\n")
    assert [json.loads(row)["prefix"] for row in out.splitlines()] == ["a\na", "a"]


def test_a_table_of_probabilities_has_a_line_for_each_string_of_several_lines(lines):
    found = makemore.load(lines).most_likely(9)
    assert any("\n" in string for string in found.strings)
    out, _ = run(sample, lines, "--most-likely", 9)
    shown = [line.partition("\t")[2] for line in out.splitlines()]
    assert shown == [string.replace("\n", r"\n") for string in found.strings]
    out, _ = run(sample, lines, "--most-likely", 9, "--json")
    assert [json.loads(row)["text"] for row in out.splitlines()] == [*found.strings]


def test_the_stop_is_named_in_a_table_of_what_may_follow(lines):
    tokens = [each.text for each in makemore.load(lines).next_tokens("a")]
    assert {*tokens} == {"", "\n", "a", "b"}
    out, _ = run(sample, lines, "--next", "a")
    shown = [line.partition("\t")[2] for line in out.splitlines()]
    assert shown == [{"": "(end)", "\n": r"\n"}.get(text, text) for text in tokens]
    for options in (["--json"], ["--format", "csv"]):
        assert "(end)" not in run(sample, lines, "--next", "a", *options)[0]


def test_one_string_is_not_called_strings():
    assert run(sample, BIGRAM, "--most-likely", 1)[1].startswith("1 string, ")
    assert run(score, BIGRAM, stdin="a\n")[1].startswith("1 string, 2 characters with stops: ")


def test_more_strings_than_one_chunk_are_the_same_strings(monkeypatch):
    monkeypatch.setattr("makemore.sampler.STREAM_CHUNK", 16)
    out, _ = run(sample, BIGRAM, "-n", 50, "--seed", 7, "--first-row", 5)
    assert out.splitlines() == makemore.load(BIGRAM).sample(50, seed=7, first_row=5)


def test_no_strings_are_no_lines():
    assert run(sample, BIGRAM, "-n", 0, "--seed", 1) == ("", "")


def test_score_prints_a_line_a_string_and_the_mean_on_stderr(tmp_path):
    (tmp_path / "text").write_bytes(b"abc\r\n\n  ba \n")
    out, err = run(score, BIGRAM, tmp_path / "text")
    abc, ba = makemore.load(BIGRAM).score(["abc", "ba"])
    assert out == f"{abc:.6f}\tabc\n{ba:.6f}\tba\n"
    assert err == f"2 strings, 7 characters with stops: {-(abc + ba) / 7:.4f} nats per character\n"


def test_score_reads_stdin():
    assert run(score, BIGRAM, stdin="abc\n")[0].endswith("\tabc\n")
    assert run(score, BIGRAM, "-", stdin="abc\n") == run(score, BIGRAM, stdin="abc")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_score_reads_any_encoding_and_drops_a_byte_order_mark(tmp_path, encoding):
    (tmp_path / "text").write_bytes("中😀\na\u0301".encode(encoding))
    out, _ = run(score, SPARSE, tmp_path / "text", "--encoding", encoding)
    assert [line.split("\t")[1] for line in out.splitlines()] == ["中😀", "a\u0301"]


def test_a_byte_order_mark_is_dropped_from_plain_utf8():
    out, _ = run(score, BIGRAM, stdin=b"\xef\xbb\xbfabc\n")
    assert out.endswith("\tabc\n")


def test_a_line_breaks_at_a_newline_only(tmp_path):
    # U+2028 is a character like any other; str.splitlines would break there.
    (tmp_path / "text").write_text("ab\u2028c", encoding="utf-8")
    assert "'\\u2028'" in run(score, BIGRAM, tmp_path / "text", code=2)[1]


def test_score_in_json_is_one_object_with_all_results():
    report = json.loads(run(score, BIGRAM, "--json", stdin="abc\nba\n")[0])
    abc, ba = makemore.load(BIGRAM).score(["abc", "ba"])
    assert report == {
        "scores": [{"text": "abc", "log_prob": abc}, {"text": "ba", "log_prob": ba}],
        "characters": 7,
        "nll_per_character": pytest.approx(-(abc + ba) / 7),
    }


def test_a_line_that_cannot_be_scored_is_named_by_its_number(tmp_path):
    (tmp_path / "text").write_text("abc\n\nabé\nba\n", encoding="utf-8")
    err = run(score, BIGRAM, tmp_path / "text", code=2)[1]
    assert "text, line 3: character 'é' (number 3 of 'abé')" in err
    assert "--keep-going" in err


def test_score_keeps_going_past_lines_that_cannot_be_scored(tmp_path):
    (tmp_path / "text").write_text("abc\n\nabé\nba\n", encoding="utf-8")
    out, err = run(score, BIGRAM, tmp_path / "text", "--keep-going")
    abc, ba = makemore.load(BIGRAM).score(["abc", "ba"])
    assert out == f"{abc:.6f}\tabc\n-inf\tabé\n{ba:.6f}\tba\n"
    reason, mean = err.splitlines()
    assert "line 3: character 'é' (number 3 of 'abé')" in reason
    assert mean == f"2 strings, 7 characters with stops: {-(abc + ba) / 7:.4f} nats per character"


def test_score_keeps_going_in_json_with_null_for_what_cannot_be_scored():
    report = json.loads(run(score, BIGRAM, "--json", "--keep-going", stdin="é\nabc\n")[0])
    [abc] = makemore.load(BIGRAM).score(["abc"])
    assert [each["log_prob"] for each in report["scores"]] == [None, abc]
    assert (report["characters"], report["nll_per_character"]) == (4, pytest.approx(-abc / 4))


def test_where_no_line_can_be_scored_there_is_no_mean():
    out, err = run(score, BIGRAM, "--keep-going", stdin="é\n")
    assert out == "-inf\té\n"
    assert err.endswith("0 strings, 0 characters with stops: none known\n")
    report = json.loads(run(score, BIGRAM, "--json", "--keep-going", stdin="é\n")[0])
    assert report["nll_per_character"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: no such file"),
        ([os.devnull], "an artifact is a folder, a .onnx or a .ts file"),
        ([str(FOLDER)], "no such file"),
        ([BIGRAM, "-n", "-1"], "-n is -1; it must be an integer >= 0"),
        ([BIGRAM, "--batch-size", str(2**70)], "--batch-size is"),
        ([BIGRAM, "--temperature", "-1"], "--temperature is -1; it must be a finite number >= 0"),
        ([BIGRAM, "--temperature", "nan"], "--temperature is nan"),
        ([BIGRAM, "--temperature", "inf"], "--temperature is inf"),
        ([BIGRAM, "--top-k", "-1"], "--top-k is -1"),
        ([BIGRAM, "--top-k", str(2**70)], "--top-k is"),
        ([BIGRAM, "--top-p", "0"], "--top-p is 0; it must be a number > 0 and <= 1"),
        ([BIGRAM, "--min-p", "2"], "--min-p is 2"),
        ([BIGRAM, "--prefix", "x"], "character 'x' (number 1 of 'x')"),
        ([BIGRAM, "--prefix", "a\nb"], r"character '\n'"),
        ([BIGRAM, "--exclude", "x"], "character 'x'"),
        ([BIGRAM, "--max-length", "0"], "--max-length is 0"),
        ([BIGRAM, "--seed", "-1"], "--seed is -1"),
        ([BIGRAM, "--first-row", "-1"], "--first-row is -1"),
        ([BIGRAM, "--batch-size", "0"], "--batch-size is 0"),
        ([BIGRAM, "--threads", "0"], "--threads is 0"),
        ([str(FOLDER / "cache"), "--max-length", "8"], "a block of 8 holds 7"),
        ([SPARSE, "--exclude", "a中😀"], "no token is left to choose"),
        ([BIGRAM, "--max-rows", "0"], "--max-rows is 0; it must be an integer >= 1"),
        ([BIGRAM, "--most-likely", "-1"], "--most-likely is -1; it must be an integer >= 0"),
        ([BIGRAM, "--rows", "0", "-o", "new"], "--rows is 0; it must be an integer >= 1"),
        ([BIGRAM, "--shard-rows", "0"], "--shard-rows is 0; it must be an integer >= 1"),
        ([BIGRAM, "--workers", "0"], "--workers is 0; it must be an integer >= 1"),
    ],
)
def test_bad_input_to_sample_is_one_line_and_exit_code_2(arguments, message):
    assert message in run(sample, *arguments, code=2)[1]


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["none"], "a", "none: no such file"),
        ([BIGRAM, "no-such-text"], "", "no-such-text"),
        ([BIGRAM, str(FOLDER)], "", "artifacts"),
        ([BIGRAM], "", "holds no line to score"),
        ([BIGRAM], "\n \n", "holds no line to score"),
        ([BIGRAM], b"ab\xff", "byte 2 is not utf-8"),
        ([BIGRAM, "--encoding", "ascii"], "é", "byte 0 is not ascii"),
        ([BIGRAM, "--encoding", "klingon"], "a", "'klingon' is not an encoding"),
        ([BIGRAM, "--encoding", "base64"], "a", "'base64' is not an encoding"),
        ([BIGRAM, "--encoding", "undefined"], "a", "cannot be read as undefined"),
        ([BIGRAM], "abx", "character 'x' (number 3 of 'abx')"),
        ([str(FOLDER / "cache")], "a" * 8, "has 8 characters; a block of 8 holds 7"),
        ([BIGRAM, "--batch-size", "0"], "a", "--batch-size is 0"),
        ([BIGRAM, "--threads", "-3"], "a", "--threads is -3"),
    ],
)
def test_bad_input_to_score_is_one_line_and_exit_code_2(arguments, stdin, message):
    assert message in run(score, *arguments, stdin=stdin, code=2)[1]


def test_an_error_in_an_option_does_not_speak_of_none():
    assert run(sample, BIGRAM, "--seed", "-1", code=2)[1].endswith(">= 0 and < 2**64\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--next", "a"], "with --next"),
        (["--most-likely", 5], "with --most-likely"),
        (["--rows", 5, "-o", "new"], "with --rows"),
        (["--json"], "in jsonl"),
        (["-o", "new.csv"], "in csv"),
    ],
)
def test_a_separator_that_would_do_nothing_is_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    error = run(sample, BIGRAM, *arguments, "--separator", "%", code=2)[1]
    assert error == f"Error: --separator has no meaning {message}\n"
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("words", [["--most-likely", 3], ["--json", "--seed", 1]])
def test_a_separator_of_strings_that_do_not_pass_goes_with_every_table(lines, words):
    out, _ = run(sample, lines, *words, "--not-in", "-", "--separator", "%", stdin="a%b")
    assert out.count("\n") in (3, 20)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("s.txt", ["--column", "c"], "--column has no meaning for text"),
        ("s.csv", ["--separator", "blank"], "--separator has no meaning for csv"),
        ("s.jsonl.gz", ["--separator", "blank"], "--separator has no meaning for jsonl"),
        ("s.txt", ["--from", "csv", "--separator", "%"], "--separator has no meaning for csv"),
        ("s.parquet", ["--encoding", "utf-8"], "--encoding has no meaning for parquet"),
    ],
)
def test_an_option_that_a_format_has_no_use_for_is_refused(tmp_path, name, arguments, message):
    (tmp_path / name).write_text("text\na\n")
    error = run(score, BIGRAM, tmp_path / name, *arguments, code=2)[1]
    assert error == f"Error: {message}, {tmp_path / name}\n"


@pytest.mark.parametrize("command", [sample, score])
def test_a_broken_file_is_one_line_and_exit_code_2(tmp_path, command):
    (tmp_path / "model.onnx").write_bytes(b"hello")
    assert "cannot load" in run(command, tmp_path, stdin="a", code=2)[1]


@pytest.mark.parametrize("command", [sample, score])
def test_an_unknown_device_is_a_usage_error(command):
    result = CliRunner().invoke(command, [BIGRAM, "--device", "tpu"])
    assert result.exit_code == 2
    assert "'tpu' is not one of 'cpu', 'cuda', 'auto'" in result.stderr


COMMANDS = {
    "mm-sample": sample,
    "mm-score": score,
    "mm-bench": bench,
    "mm-inspect": inspect,
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_its_version(name):
    result = CliRunner().invoke(COMMANDS[name], ["--version"], prog_name=name)
    assert (result.exit_code, result.stdout) == (0, f"{name} {makemore.__version__}\n")


@pytest.mark.parametrize("command", COMMANDS.values())
def test_h_is_help(command):
    assert run(command, "-h") == run(command, "--help")


@pytest.mark.parametrize("command", COMMANDS.values())
def test_a_torchscript_file_is_opened_with_the_flag_trust_alone(tmp_path, command):
    (tmp_path / "model.ts").write_bytes(b"hello")
    assert "--trust" in run(command, tmp_path / "model.ts", stdin="a", code=2)[1]
    assert "--trust" in run(command, tmp_path, stdin="a", code=2)[1]
    with_trust = run(command, tmp_path / "model.ts", "--trust", stdin="a", code=2)[1]
    assert "not a TorchScript file made by mm-export" in with_trust


@pytest.mark.parametrize("command", [sample, score])
def test_every_option_is_explained_in_the_help(command):
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.opts[0] in result.stdout


def piped(command, *arguments, **environment):
    """A command in a process of its own, as its console script runs it."""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from makemore.commands.{command} import {command}; {command}()",
            *arguments,
        ],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_reader_that_goes_away_ends_the_command_without_a_traceback():
    with piped("sample", BIGRAM, "-n", "200000", "--seed", "1") as process:
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_strings_that_stdout_cannot_encode_are_one_line_and_exit_code_2():
    with piped("sample", SPARSE, "--seed", "1", PYTHONIOENCODING="latin-1") as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert err.startswith(b"Error: 'latin-1' codec can't encode")
    assert err.count(b"\n") == 1


def test_strings_are_written_as_utf8_where_stdout_is_utf8():
    with piped("sample", SPARSE, "--seed", "1", PYTHONIOENCODING="utf-8") as process:
        out, _ = process.communicate()
    assert out.decode("utf-8").splitlines() == makemore.load(SPARSE).sample(20, seed=1)


def shell(command, redirection):
    """A command of the shell with a stream closed: exit code, stdout, stderr."""
    module = f"from makemore.commands.{command} import {command}; {command}()"
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(module)} {shlex.quote(BIGRAM)}"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{line} {redirection}"], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


posix = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes the streams")


@posix
def test_a_closed_stdin_is_one_line_and_exit_code_2():
    message = "Error: standard input is closed; name a file\n"
    assert shell("score", "<&-") == (2, "", message)


@posix
@pytest.mark.parametrize("command", ["sample", "score"])
def test_a_closed_stdout_is_one_line_and_exit_code_2(command):
    assert shell(command, ">&-") == (2, "", "Error: standard output is closed\n")


@posix
def test_a_closed_stderr_changes_nothing_on_stdout():
    code, out, _ = shell("sample", "2>&- --seed 1")
    assert (code, out.splitlines()) == (0, makemore.load(BIGRAM).sample(20, seed=1))
