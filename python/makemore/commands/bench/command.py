"""`mm-bench`: how fast an artifact samples on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from makemore.commands.bench.compare import compare, read_record
from makemore.commands.bench.measure import measure
from makemore.commands.bench.result import (
    Bench,
    Comparison,
    Latency,
    Spread,
    Startup,
    Throughput,
)
from makemore.commands.command import Command
from makemore.commands.options import artifact_argument, device_option, trust_option
from makemore.commands.terminal import plural, to_show
from makemore.errors import OptionError
from makemore.loading import Device
from makemore.runtime.cores import usable_cores

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.command(cls=Command)
@artifact_argument
@click.option(
    "--batch-size",
    "batch_sizes",
    default="1,32,256,1024",
    show_default=True,
    help="Rows decoded together: one number or several.",
)
@click.option(
    "--threads", help="Batches at once: one number or several.  [default: 1 and all cores]"
)
@click.option(
    "-n", "n", type=int, help="Names a call, for throughput.  [default: what the seconds allow]"
)
@click.option("--repeats", default=5, show_default=True, help="Rounds, and fresh processes.")
@click.option(
    "--seconds", default=10.0, show_default=True, help="Of latency and throughput, about."
)
@device_option
@trust_option
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PNG of throughput by batch size.",
)
@click.option(
    "--compare",
    "old",
    type=click.Path(path_type=Path),
    metavar="OLD.json",
    help="How many times as fast as in a record that --json wrote before.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench(
    artifact: Path,
    batch_sizes: str,
    threads: str | None,
    n: int | None,
    repeats: int,
    seconds: float,
    device: Device,
    trust: bool,
    plot: Path | None,
    old: Path | None,
    as_json: bool,
) -> None:
    """Measures how fast ARTIFACT makes names on this machine, as Python strings.

    Latency of one name a call, another name each time; throughput of calls for many names, at each
    batch size and thread count; start and memory of fresh processes. Nothing else should run.
    """
    before = read_record(old) if old else None
    draw = None
    if plot:
        draw = _throughput_plot()
        if not plot.resolve().parent.is_dir():
            raise OptionError(f"{plot.parent}: no such folder")
    found = measure(
        artifact,
        device=device,
        trust=trust,
        batch_sizes=_numbers("batch-size", batch_sizes),
        threads=_numbers("threads", threads) if threads else sorted({1, usable_cores()}),
        n=n,
        repeats=repeats,
        seconds=seconds,
        say=lambda line: click.echo(line, err=True),
    )
    if old and before:
        found = msgspec.structs.replace(found, compared=compare(found, before, old))
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        show(found)
    if plot and draw:
        title = f"{found.model} on {found.device}, {found.throughput[0].n:,} names a call"
        draw(found.throughput, title).savefig(plot, format="png")


def _numbers(option: str, text: str) -> list[int]:
    """Each number of a list such as "1,32", once, in rising order."""
    try:
        return sorted({int(number) for number in text.split(",")})
    except ValueError:
        raise OptionError(f"--{option} is {text!r}; it must be numbers such as 1,2") from None


def _throughput_plot() -> Callable[[Sequence[Throughput], str], Figure]:
    """What draws the plot, found missing before time is spent on measuring."""
    try:
        from makemore.commands.bench.plot import throughput_plot
    except ModuleNotFoundError as error:
        package, _, _ = (error.name or "").partition(".")
        raise OptionError(
            f"for --plot, {package} is needed: pip install {package}, or 'makemore[export]'"
        ) from None
    return throughput_plot


def show(found: Bench) -> None:
    """The figures on stdout, as Markdown tables."""
    environment = found.environment
    model = to_show(f"{found.artifact}: {found.model}")
    click.echo(
        f"{model}, {found.parameters:,} weights, on {found.device}\n"
        f"makemore {environment['makemore']}, onnxruntime {environment['onnxruntime']}, "
        f"Python {environment['python']}\n"
        f"{environment['machine']}, {environment['cores']} cores\n"
    )
    _show_latency(found.latency)
    _show_throughput(found.throughput, found.repeats)
    _show_startup(found.startup, found.repeats, found.throughput[0].n)
    if found.compared:
        _show_comparison(found.compared)


def _show_latency(latency: Latency) -> None:
    rows = (
        ("a name", latency.name_us),
        ("a token", latency.token_us),
        ("a sampler's first name", latency.cold_name_us),
    )
    _print_table(
        f"One name a call, {latency.calls:,} calls, in microseconds",
        ("", "p50", "p90", "p99"),
        ((name, _shown(us.p50), _shown(us.p90), _shown(us.p99)) for name, us in rows),
    )


def _show_throughput(rows: Sequence[Throughput], repeats: int) -> None:
    _print_table(
        f"{rows[0].n:,} {plural(rows[0].n, 'name')} a call, medians of {repeats}",
        ("batch size", "threads", "names/s", "min", "max", "tokens/s"),
        (
            (
                f"{row.batch_size:,}",
                f"{row.threads:,}",
                *_spread(row.names_per_second),
                _shown(row.tokens_per_second.median),
            )
            for row in rows
        ),
    )


def _show_startup(startup: Startup, repeats: int, n: int) -> None:
    rows = [
        ("first load, ms", startup.first_load_ms),
        ("later load, ms", startup.later_load_ms),
        ("first name, from the start of Python, ms", startup.first_name_ms),
    ]
    if startup.peak_mib:
        rows += [
            ("memory before the load, MiB", startup.peak_mib.before_load),
            ("memory after the load, MiB", startup.peak_mib.after_load),
            (f"memory after {n:,} names, MiB", startup.peak_mib.after_sampling),
        ]
    _print_table(
        f"Fresh processes, medians of {repeats}; memory is the most resident until then",
        ("", "median", "min", "max"),
        ((name, *_spread(spread)) for name, spread in rows),
    )


def _show_comparison(compared: Comparison) -> None:
    for name, (before, now) in compared.differs.items():
        click.echo(to_show(f"{name} differs: {before} before, {now} now"))
    _print_table(
        to_show(f"Times as fast as in {compared.old}; of memory, as small"),
        ("", "median", "min", "max"),
        (
            (row.figure, *("" if x is None else f"{x:.2f}" for x in (row.median, row.min, row.max)))
            for row in compared.ratios
        ),
    )


def _print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    click.echo(title)
    first, *others = columns
    table = Table(first, box=box.MARKDOWN)
    for column in others:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    Console(width=200).print(table)  # a table to copy is not to be cut


def _spread(spread: Spread) -> tuple[str, str, str]:
    return _shown(spread.median), _shown(spread.min), _shown(spread.max)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"
