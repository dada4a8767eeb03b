"""What a command shows of a training on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import click
import msgspec
from makemore.commands.bench.process import peak_mib
from makemore.commands.terminal import escape
from makemore.text import BLANK
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from makemore_export.commands.pace import Stopwatch, pace_line
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.long_lines import count_long_lines, long_lines_warning
from makemore_export.data.mojibake import Mojibake
from makemore_export.data.text import Text
from makemore_export.models import Model
from makemore_export.runs.records import Evaluation, Refit, Start, Step
from makemore_export.runs.run import Run
from makemore_export.training.choices import choices_of

_LARGE = 20_000_000  # bytes of one file, from which on there is a warning
_FEW_LINES = 30  # of dev: their mean loss says little
_FIRST_LOSS_OFF = 0.05  # nats from ln V that an initialisation may be


class ProgressDisplay:
    """A context in which to show lines and how many of `total` steps are done, if at all.

    as_json: each line is a JSON object with a `kind`: a record, or a `message` with its `text`.
    closing: seconds that training needs after the last step.
    """

    def __init__(
        self,
        total: int,
        done: int = 0,
        *,
        silent: bool = False,
        as_json: bool = False,
        closing: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        console = Console(stderr=True)
        self._silent = silent
        self.as_json = as_json
        self._stopwatch = Stopwatch(total, done, clock, closing=closing)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=silent or as_json or not console.is_terminal,
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

    def expect(self, steps: int) -> None:
        """So many steps are left."""
        total = self._stopwatch.expect(steps)
        self._bar.update(self._task, total=total, completed=total - steps)

    def advance(self, record: Step | Evaluation) -> None:
        """One step more is done; without a bar, a line every 10 seconds says how it goes."""
        self._bar.advance(self._task)
        if not self._bar.disable:
            return
        if isinstance(record, Step):
            pace = self._stopwatch.advance(record.model, record.tokens, record.loss)
        else:
            loss = record.running_loss
            pace = self._stopwatch.advance(record.model, 0, lambda: loss)
        if pace and self.as_json:
            self.show_record(pace)
        elif pace:
            self.show(pace_line(pace))

    def show_record(self, record: msgspec.Struct) -> None:
        """A line of JSON."""
        if not self._silent:
            click.echo(msgspec.json.encode(record), err=True)

    def show(self, line: str) -> None:
        if self._silent:
            return
        if self.as_json or self._bar.disable:
            tell(line, as_json=self.as_json)
        else:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def tell(line: str, *, as_json: bool) -> None:
    """A line on stderr, as JSON a record of the kind `message`."""
    shown = msgspec.json.encode({"kind": "message", "text": line}) if as_json else line
    click.echo(shown, err=True)


def summary(text: Text, run: Run, model: Model, device: str) -> str:
    """What is trained on what, in two lines."""
    limit, has_labels = run.max_line_length, bool(run.labels)
    long = count_long_lines(text, limit, has_labels=has_labels) if limit else 0
    met = [
        f"{count:,} {what}"
        for count, what in (
            (text.blank, "blank lines dropped"),
            (
                run.data.duplicates,
                "duplicates kept" if run.keep_duplicates else "duplicates dropped",
            ),
            (text.crlf, "Windows line ends"),
            (int(text.bom), "byte order mark dropped"),
            (long, f"longer than {limit} {'cut' if run.long_lines == 'cut' else 'dropped'}"),
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
    return (
        f"{text.name}: {'; '.join([f'{run.data.lines:,} {things}', *met])}; {splits}; "
        f"{len(run.tokens):,} {run.level}s{labels}\n{run.model}{size}"
    )


def size_line(run: Run, model: Model, train: EncodedStrings) -> str:
    """What the files will take, and what makes them smaller where that is much."""
    parts = model.components()
    names = [each["model"] for each in run.config["parts"]] if parts else [run.model]
    sizes = [each.expected_bytes(train) for each in parts or [model]]
    size, largest = sum(sizes), max(zip(sizes, names, strict=True))[1]
    line = f"expected size: {_megabytes(size)} each for the checkpoint, model.onnx and model.ts"
    if size < _LARGE:
        return line
    smaller = "a lower --order" if largest == "ngram" else "fewer layers or a smaller width"
    return (
        f"{line}; warning: that is large; {smaller} of the {largest}, or fewer distinct "
        f"{run.level}s, make it smaller; mm-export --no-torchscript leaves out model.ts"
    )


def _megabytes(size: int) -> str:
    if size < 100_000:
        return f"{math.ceil(size / 1e3):,} kB"
    return f"{size / 1e6:,.0f} MB" if size >= _LARGE else f"{size / 1e6:,.1f} MB"


def warnings(text: Text, run: Run) -> list[str]:
    """What looks wrong with the text or makes training slow or losses a guess, and what helps."""
    dev = run.data.split.get("dev")
    few = (
        f"warning: dev has {dev} line{'' if dev == 1 else 's'}, too few to judge by: take dev and "
        "test loss as rough guesses; --split 100 trains on all lines"
    )
    has_steps = choices_of(run.model).max_steps(run.spec) > 0
    slow = has_steps and not run.max_line_length
    found = [
        _mojibake(text.mojibake, text.encoding) if text.mojibake else None,
        long_lines_warning(text, has_labels=bool(run.labels)) if slow else None,
        few if dev and dev < _FEW_LINES else None,
    ]
    return [warning for warning in found if warning]


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


def cost_line(splits: Mapping[str, EncodedStrings], steps: float, closing: float) -> str:
    """What a large list takes. steps, closing: the seconds that these are expected to take."""
    tokens = sum(strings.token_count for strings in splits.values())
    peak = peak_mib()
    memory = "" if peak is None else f", {peak:,.0f} MiB of memory so far"
    return (
        f"{tokens:,} tokens{memory}; all steps: about {steps:.0f} s; "
        f"evaluations after the last step: about {closing:.0f} s"
    )


def start_line(record: Start) -> str:
    """The check of the initialisation: all tokens should be expected alike at first."""
    uniform = math.log(record.vocab_size)
    line = f"first loss {record.loss:.4f}, ln {record.vocab_size:,} = {uniform:.4f}"
    if abs(record.loss - uniform) > _FIRST_LOSS_OFF:
        line += f"; warning: more than {_FIRST_LOSS_OFF} apart, a poor initialisation"
    return line


def refit_line(record: Refit, run: Run) -> str:
    """What was chosen, and what follows."""
    dev = record.losses["dev"]
    lines = run.data.split["train"] + run.data.split["dev"]
    steps = f", {record.steps:,} steps" if record.steps else ""
    return (
        f"chosen with dev {'infinite' if dev is None else f'{dev:.4f}'}; now the same on the "
        f"{lines:,} lines of train and dev{steps}"
    )


def evaluation_line(record: Evaluation) -> str:
    """The losses by split."""
    losses = "  ".join(
        f"{name} {'infinite' if loss is None else f'{loss:.4f}'}"
        for name, loss in record.losses.items()
    )
    mark = "best so far" if record.best else ""
    if record.finished:
        of = ", ".join(f"{count:,} lines of {name}" for name, count in record.lines.items())
        mark = f"best weights, {of or 'all lines'}"
    return f"step {record.step:6,}  {losses}  {record.seconds:6.1f} s  {mark}".rstrip()
