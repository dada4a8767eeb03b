"""What `mm-train` and `mm-export` share with every other command."""

import os
import subprocess
import sys

import makemore
import pytest
from click.testing import CliRunner
from commands import run
from makemore_export.commands import export, train


@pytest.mark.parametrize("command", [train.main, export.main])
def test_a_command_says_its_version_and_takes_h_for_help(command):
    result = CliRunner().invoke(command, ["--version"], prog_name="mm")
    assert (result.exit_code, result.stdout) == (0, f"mm {makemore.__version__}\n")
    assert run(command, "-h") == run(command, "--help")


WITHOUT = """
import importlib.metadata
import sys
from importlib import import_module

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def version(name, known=importlib.metadata.version):
    if name == sys.argv[1]:
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)

sys.meta_path.insert(0, Absent())
importlib.metadata.version = version
import_module(f"makemore_export.commands.{sys.argv[2]}").main(sys.argv[3:])
"""


def without(package, command, *words, folder):
    """A command in a process where a package is not installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, package, command, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("package", ["torch", "safetensors"])
@pytest.mark.parametrize("command", ["train", "export"])
def test_help_is_given_where_a_package_is_missing(package, command, tmp_path):
    result = without(package, command, "--help", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: ")


@pytest.mark.parametrize(
    ("package", "command", "words", "message"),
    [
        ("torch", "train", "text", "to train, torch is needed"),
        ("torch", "train", "text --sweep order=2,3 --model ngram", "to train, torch is needed"),
        ("torch", "train", "text --find-lr --model mlp", "to train, torch is needed"),
        ("torch", "export", "text", "to export, torch is needed"),
        ("torch", "export", "run", "to export, torch is needed"),
        ("torch", "export", "foreign.pt", "to export, torch is needed"),
        ("onnx", "train", "text --model bigram", "to train, onnx is needed"),
        ("onnx", "export", "text", "to export, onnx is needed"),
        ("onnxscript", "train", "text --model bigram", "to train, onnxscript is needed"),
        ("onnxscript", "export", "run", "to export, onnxscript is needed"),
        ("onnxscript", "export", "foreign.pt", "to export, onnxscript is needed"),
        ("safetensors", "train", "text", "to train, safetensors is needed"),
        ("safetensors", "export", "text", "to export, safetensors is needed"),
        ("safetensors", "export", "run", "to read a checkpoint, safetensors is needed"),
        (
            "safetensors",
            "export",
            "run/best.safetensors",
            "to read a checkpoint, safetensors is needed",
        ),
    ],
)
def test_a_package_that_is_missing_is_one_line_with_the_cure(
    package, command, words, message, tmp_path
):
    (tmp_path / "text").write_text("\n".join(f"{a}{b}" for a in "abcdef" for b in "uvwxyz"))
    (tmp_path / "foreign.pt").write_bytes(b"\x80\x02}.")
    if "run" in words:
        run(train.main, tmp_path / "text", "-o", tmp_path / "run", "--model", "bigram")
    before = {*tmp_path.iterdir()}
    result = without(package, command, *words.split(), "-o", "out", folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"Error: {message}: pip install 'makemore[export]'\n"
    assert {*tmp_path.iterdir()} == before


@pytest.mark.parametrize("command", [train.main, export.main])
def test_an_encoding_that_decodes_nothing_is_one_line_and_exit_code_2(tmp_path, command):
    (tmp_path / "text").write_text("abc\nba\n", encoding="utf-8")
    out = ["-o", tmp_path / "out"]
    error = run(command, tmp_path / "text", *out, "--encoding", "undefined", code=2)[1]
    assert "undefined encoding" in error
