"""A command that trains on a text: what can be checked without PyTorch is checked before it.

Importing PyTorch takes seconds, and the options of the models come with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from makemore.commands.command import Command, expected_errors
from makemore.reading.file_bytes import STDIN

from makemore_export.data.reading import Reading
from makemore_export.data.text import Content, Text, read_content, text_of

_ANSWERED_AT_ONCE = {"-h", "--help", "--version"}


class GivenText:
    """The text of the command line, whose bytes are read once: they may come from stdin."""

    def __init__(self, path: Path | None) -> None:
        if path == STDIN:
            from makemore_export.training import distributed

            distributed.refuse("a text on standard input")
        self.content: Content = read_content(path)
        self._texts: dict[Reading, Text] = {}

    def read(self, reading: Reading) -> Text:
        """The things in it; `DataError` where there are none."""
        if reading not in self._texts:
            self._texts[reading] = text_of(self.content, reading)
        return self._texts[reading]


class TrainingCommand(Command):
    """A command with the options of `text_options` and those of the models, each with one value.

    first_check: takes the values of the former, before PyTorch is imported; what it returns is the
    `obj` of the context.
    """

    def __init__(
        self, *arguments: Any, first_check: Callable[[dict[str, Any]], Any], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._first_check = first_check

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """All options, those of the models too."""
        from makemore_export.commands.run_options import model_options

        return [*super().get_params(ctx), *model_options()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Checks what is known without the models, then all."""
        if not _ANSWERED_AT_ONCE & {*args}:
            first = click.Command(self.name, params=self.params, add_help_option=False)
            values = first.make_context(ctx.info_name, _without_unknown(self.params, args)).params
            with expected_errors():
                ctx.obj = self._first_check(values)
        return super().parse_args(ctx, args)


def _without_unknown(params: Sequence[click.Parameter], args: Sequence[str]) -> list[str]:
    """The arguments but for options that are none of `params`, and the value of each."""
    known = {name: each for each in params if isinstance(each, click.Option) for name in each.opts}
    kept: list[str] = []
    left = [*args]
    while left:
        arg = left.pop(0)
        if arg == "--":
            return [*kept, arg, *left]
        name, equals, _ = arg.partition("=") if arg.startswith("--") else (arg[:2], arg[2:], "")
        option = known.get(name)
        is_option = arg.startswith("-") and arg != "-"
        has_value = is_option and not equals and not (option and option.is_flag)
        words = [arg, *([left.pop(0)] if has_value and left else [])]
        if option or not is_option:
            kept += words
    return kept
