"""Text of a file that goes to a terminal."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys

import makemore
import pytest
import tiny_models
from makemore.commands.terminal import escape, escape_json, to_show
from tiny_artifacts import build

TITLE = "\x1b]0;owned\x07"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 中 😀 \u200d", "plain é 中 😀 \u200d"),
        (TITLE, r"\x1b]0;owned\x07"),
        ("\x1b]52;c;aGk=\x1b\\", r"\x1b]52;c;aGk=\x1b" + "\\"),
        ("a\nforged: line\r\t\x7f", r"a\nforged: line\r\t\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202egpj.exe\u2066\u200f", r"\u202egpj.exe\u2066\u200f"),
        ("\u2028\ud83d", r"\u2028\ud83d"),
    ],
)
def test_what_a_terminal_acts_on_is_escaped(text, shown):
    assert escape(text) == shown
    assert to_show(text, Terminal()) == shown
    assert to_show(text, io.StringIO()) == text


MODULES = {
    "sample": "makemore.commands.sample",
    "score": "makemore.commands.score",
    "main": "makemore_export.commands.inspect",
}


@pytest.fixture
def hostile(tmp_path):
    """An artifact whose tokens and whose metadata hold control sequences and line ends."""
    model = build(tiny_models.BIGRAM)
    metadata = json.loads(model.metadata_props[0].value)
    metadata["tokens"] = ["\x1b", "\n", "c"]
    metadata["golden"]["strings"] = []
    metadata["model"]["type"] = f"x{TITLE}\nforged: 1"
    model.metadata_props[0].value = json.dumps(metadata)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "model.onnx"


def run(function, *arguments, terminal, stdin=""):
    """What a command writes where both its streams are a terminal, or both a pipe."""
    code = f"from {MODULES[function]} import {function}; {function}()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    if not terminal:
        return subprocess.run(
            command, input=stdin.encode(), capture_output=True, check=False
        ).stdout.decode()
    import pty

    master, slave = pty.openpty()
    try:
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=slave, stderr=slave, env=environment
        ) as process:
            os.close(slave)
            process.stdin.write(stdin.encode())
            process.stdin.close()
            out = b""
            with contextlib.suppress(OSError):  # Linux ends a terminal with an error
                while block := os.read(master, 65_536):
                    out += block
    finally:
        os.close(master)
    return out.decode().replace("\r\n", "\n")


posix = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


@posix
def test_sampled_strings_are_escaped_on_a_terminal_and_raw_in_a_pipe(hostile):
    made = makemore.load(hostile).sample(30, seed=1)
    assert any("\x1b" in text for text in made)
    options = ("-n", 30, "--seed", 1)
    assert run("sample", hostile, *options, terminal=False) == "".join(f"{t}\n" for t in made)
    shown = run("sample", hostile, *options, terminal=True)
    assert shown.splitlines() == [escape(text) for text in made]
    shown = run("sample", hostile, *options, "--format", "csv", terminal=True)
    assert [line.partition(",")[0] for line in shown.splitlines()[1:]] == [escape(t) for t in made]
    shown = run("sample", hostile, *options, "--format", "jsonl", terminal=True)
    assert [json.loads(line)["text"] for line in shown.splitlines()] == made
    assert all(escape(line) == line for line in shown.splitlines())
    shown = run("sample", hostile, "--next", "", terminal=True)
    tokens = [line.split("\t")[1] for line in shown.splitlines()]
    assert sorted(tokens) == sorted([r"\x1b", r"\n", "c", "(end)"])


def test_escaped_json_is_the_same_json():
    text = json.dumps("\x1b \x7f \x9b31m \u202e 😀", ensure_ascii=False)
    assert json.loads(escape_json(text)) == json.loads(text)
    assert escape(escape_json(text)) == escape_json(text)


@posix
def test_scored_strings_and_errors_are_escaped_on_a_terminal(hostile):
    assert "\x1bc" in run("score", hostile, terminal=False, stdin="\x1bc\n")
    shown = run("score", hostile, terminal=True, stdin="\x1bc\n")
    assert r"\x1bc" in shown
    assert "\x1b" not in shown
    for error in ("c\x9bx\n", "\u202ec\n"):
        for keep_going in ((), ("--keep-going",)):
            shown = run("score", hostile, *keep_going, terminal=True, stdin=error)
            assert all(escape(each) == each for each in re.split("[\n\t]", shown))


@posix
def test_metadata_is_escaped_on_a_terminal_and_forges_no_line(hostile):
    assert "\x1b]0;owned\x07\\nforged: 1" in run("main", hostile, terminal=False)
    shown = run("main", hostile, terminal=True)
    assert r"x\x1b]0;owned\x07\nforged: 1" in shown
    assert "\x1b" not in shown
    assert not any(line.startswith("forged") for line in shown.splitlines())


@posix
def test_an_error_that_quotes_a_file_is_escaped_on_a_terminal(tmp_path):
    missing = tmp_path / "\x1b]0;owned\x07"
    assert r"\x1b]0;owned\x07: no such file" in run("sample", missing, terminal=True)
