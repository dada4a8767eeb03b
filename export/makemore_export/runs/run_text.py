"""The text that a run was trained on."""

from __future__ import annotations

from pathlib import Path

from makemore.errors import OptionError

from makemore_export.data.long_lines import without_long_lines
from makemore_export.data.text import read_content, text_of
from makemore_export.runs.run import Run


def lines_of(run: Run, path: Path | None, encoding: str | None) -> tuple[str, ...] | None:
    """All lines of the text of a run, long ones cut or left out as it did.

    Without `path` that of the package, and None if the run's is another. encoding: instead of that
    which the run was trained with.
    `OptionError` where the file at `path` is another text.
    """
    content = read_content(path)
    if content.sha256 == run.data.sha256:
        text = text_of(content, run.reading.with_options({"encoding": encoding}))
        return without_long_lines(
            text, run.max_line_length, run.long_lines, has_labels=bool(run.labels)
        ).lines
    if path:
        raise OptionError(
            f"{path}: is another text than that of the run: its SHA-256 is {content.sha256}, that "
            f"of {run.data.name} was {run.data.sha256}"
        )
    return None
