"""What every `mm-*` command does alike: one line on stderr and exit code 2 for a bad input."""

from __future__ import annotations

from typing import Any

import click

from makemore.errors import MakemoreError


class BadInput(click.ClickException):
    """Shown as one line on stderr."""

    exit_code = 2


class Command(click.Command):
    """A click command whose expected errors are one line on stderr and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # a reader such as `head` went away: click ends quietly
        except (MakemoreError, OSError, UnicodeEncodeError) as error:
            raise BadInput(" ".join(str(error).split())) from error
