"""Runs a command as a terminal would."""

from click.testing import CliRunner


def run(command, *arguments, stdin=None, code=0):
    """A command's stdout and stderr; bad input must say why in one line."""
    result = CliRunner().invoke(command, [str(a) for a in arguments], input=stdin)
    assert result.exit_code == code, result.output
    if code == 2:
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
    return result.stdout, result.stderr
