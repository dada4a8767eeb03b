"""What a command shows of a training on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType

import click
from makemore.commands.terminal import escape
from makemore.text import BLANK
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from makemore_export.data.mojibake import Mojibake
from makemore_export.data.text import Text
from makemore_export.models import Model
from makemore_export.runs.records import Evaluation, Start
from makemore_export.runs.run import Run

_FIRST_LOSS_OFF = 0.05  # nats from ln V that an initialisation may be


class ProgressDisplay:
    """A context in which to show lines and how many of `total` steps are done, if at all."""

    def __init__(self, total: int, done: int = 0, *, silent: bool = False) -> None:
        console = Console(stderr=True)
        self._silent = silent
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=silent or not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("training", total=total, completed=done)

    def __enter__(self) -> ProgressDisplay:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """One step more is done."""
        self._bar.advance(self._task)

    def show(self, line: str) -> None:
        if self._silent:
            return
        if self._bar.disable:
            click.echo(line, err=True)
        else:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def summary(text: Text, run: Run, model: Model, device: str) -> str:
    """What is trained on what, in two lines; before them, what looks wrong with the text."""
    met = [
        f"{count:,} {what}"
        for count, what in (
            (text.blank, "blank lines dropped"),
            (text.duplicates, "duplicates kept" if run.keep_duplicates else "duplicates dropped"),
            (text.crlf, "Windows line ends"),
            (int(text.bom), "byte order mark dropped"),
        )
        if count
    ]
    if text.encoding.startswith(("utf-16", "utf-32")):
        met.insert(0, text.encoding.upper())
    if text.compression:
        met.insert(0, f"unpacked from {text.compression}")
    if text.reading.column:
        met.insert(0, f"column {text.reading.column}")
    elif {".csv", ".tsv"} & {*Path(text.name).suffixes}:
        met.insert(0, "read as lines; a column of it: --column NAME")
    separator = text.reading.separator
    things = "lines" if separator is None else f"items between {escape(separator)}"
    if separator == BLANK:
        things = "items between blank lines"
    splits = ", ".join(f"{name} {lines:,}" for name, lines in run.data.split.items())
    weights = sum(
        weight.numel() for weight in model.parameters()
    )  # that of a model that counts has none yet
    size = f": {weights:,} weights, on {device}" if weights else ""
    labels = f"; labels: {', '.join(run.labels)}" if run.labels else ""
    mojibake = f"{_mojibake(text.mojibake, text.encoding)}\n" if text.mojibake else ""
    return mojibake + (
        f"{text.name}: {'; '.join([f'{run.data.lines:,} {things}', *met])}; {splits}; "
        f"{len(run.tokens):,} {run.level}s{labels}\n{run.model}{size}"
    )


def _mojibake(found: Mojibake, encoding: str) -> str:
    where = (
        "the file itself is so; the package ftfy mends it"
        if encoding.lower().startswith("utf")
        else f"the file may be UTF-8, not {encoding}: --encoding utf-8"
    )
    return (
        f"warning: {found.lines:,} lines look like UTF-8 that was read as another encoding, "
        f"such as {found.example!r:.60} for {found.meant!r:.60}: {where}"
    )


def start_line(record: Start) -> str:
    """The check of the initialisation: all tokens should be expected alike at first."""
    uniform = math.log(record.vocab_size)
    line = f"first loss {record.loss:.4f}, ln {record.vocab_size:,} = {uniform:.4f}"
    if abs(record.loss - uniform) > _FIRST_LOSS_OFF:
        line += f"; warning: more than {_FIRST_LOSS_OFF} apart, a poor initialisation"
    return line


def evaluation_line(record: Evaluation) -> str:
    """The losses by split."""
    losses = "  ".join(
        f"{name} {'infinite' if loss is None else f'{loss:.4f}'}"
        for name, loss in record.losses.items()
    )
    mark = "best weights, all lines" if record.finished else "best so far" if record.best else ""
    return f"step {record.step:6,}  {losses}  {record.seconds:6.1f} s  {mark}".rstrip()
