"""Bad input is answered before PyTorch, which takes seconds, is imported."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from makemore_export.commands.export import main as mm_export
from makemore_export.commands.run_options import model_options
from makemore_export.commands.train import main as mm_train

CALL = """
import sys
command, *words = sys.argv[1:]
main = __import__(f"makemore_export.commands.{command}", fromlist=["main"]).main
try:
    main.main(words, command)
except SystemExit as end:
    print("torch" in sys.modules)
    sys.exit(end.code)
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train missing.txt -o run", "missing.txt: cannot be read"),
        ("train --n-layer 3 missing.txt -o run", "missing.txt: cannot be read"),
        ("train missing.txt -o run --resume", "missing.txt: cannot be read"),
        ("train text.txt", "Missing option '-o'"),
        ("train text.txt -o run --split 80/30", "must be percentages"),
        ("train text.txt -o run --seed x", "'x' is not a valid integer"),
        ("train text.txt -o run --encoding klingon", "'klingon' is not an encoding"),
        ("train table.csv -o run --column no", "has no column 'no'"),
        ("train table.csv -o run --label-column a", "needs --column"),
        ("train text.txt -o run --find-lr --resume", "does not go with --resume"),
        ("export missing.txt -o out", "missing.txt: cannot be read"),
        ("export missing.safetensors -o out", "missing.safetensors: no such file"),
        ("export text.txt -o out --samples x", "'x' is not a valid integer"),
        ("export run -o out --text missing.txt", "missing.txt: cannot be read"),
        ("inspect missing", "missing: no such file"),
    ],
)
def test_bad_input_is_told_without_pytorch(tmp_path, words, message):
    (tmp_path / "text.txt").write_text("emma\nava\n")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    command = [sys.executable, "-c", CALL, *words.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "False\n"), done.stderr
    assert message in done.stderr


def test_options_of_models_have_one_value_each():
    """As the first check, which does not know them, takes it."""
    for option in model_options():
        assert (option.nargs, option.is_flag) == (1, False)
        assert all(name.startswith("--") for name in option.opts)


@pytest.mark.parametrize("command", [mm_train, mm_export])
def test_an_option_of_a_model_stays_one_of_the_command(command):
    names = [
        name
        for each in command.get_params(click.Context(command, help_option_names=["-h", "--help"]))
        for name in each.opts
    ]
    assert len(names) == len({*names})
    assert {"--model", "--n-layer", "--split", "-o"} <= {*names}
