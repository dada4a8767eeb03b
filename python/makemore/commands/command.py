"""What every `mm-*` command does alike: its exit codes, and one line on stderr for a bad input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from makemore.commands.terminal import to_show
from makemore.errors import MakemoreError

INTERRUPTED = 130
"""The shell's exit code for Ctrl-C."""


class BadInput(click.ClickException):
    """Shown as one line on stderr."""

    exit_code = 2


class Command(click.Command):
    """A click command that ends with 130 at Ctrl-C, and with one line on stderr and 2 at an
    expected error. It has `-h` and `--version`, like each of them.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        click.version_option(package_name="makemore", message="%(prog)s %(version)s")(self)

    def invoke(self, ctx: click.Context) -> Any:
        if sys.stdout is None:
            raise BadInput("standard output is closed")
        try:
            with expected_errors():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@contextmanager
def expected_errors() -> Iterator[None]:
    """Inside, an expected error becomes `BadInput`."""
    try:
        yield
    except BrokenPipeError:
        raise  # a reader such as `head` went away: click ends quietly
    except (MakemoreError, OSError, UnicodeError) as error:
        message = to_show(" ".join(str(error).split()), sys.stderr)
        raise BadInput(message) from error
