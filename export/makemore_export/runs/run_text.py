"""The text that a run was trained on."""

from __future__ import annotations

from makemore.errors import OptionError

from makemore_export.data.lines import Lines
from makemore_export.data.long_lines import without_long_lines
from makemore_export.data.text import Content, read_content, text_of
from makemore_export.runs.run import Run


def lines_of(run: Run, given: Content | None, encoding: str | None) -> Lines | None:
    """All lines of the text of a run, long ones cut or left out as it did: of the text given, or
    that of the package; None if it is not.

    encoding: instead of that which the run was trained with.
    `OptionError` where the text given is another one.
    """
    content = given or read_content(None)
    if content.sha256 == run.data.sha256:
        text = text_of(content, run.reading.with_options({"encoding": encoding}))
        return without_long_lines(
            text, run.max_line_length, run.long_lines, has_labels=bool(run.labels)
        ).lines
    if given:
        raise OptionError(
            f"{content.name}: is another text than that of the run: its SHA-256 is "
            f"{content.sha256}, that of {run.data.name} was {run.data.sha256}"
        )
    return None
