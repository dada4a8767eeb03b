"""What `mm-train` and `mm-export` share with every other command."""

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


@pytest.mark.parametrize("command", [train.main, export.main])
def test_an_encoding_that_decodes_nothing_is_one_line_and_exit_code_2(tmp_path, command):
    (tmp_path / "text").write_text("abc\nba\n", encoding="utf-8")
    out = ["-o", tmp_path / "out"]
    error = run(command, tmp_path / "text", *out, "--encoding", "undefined", code=2)[1]
    assert "undefined encoding" in error
