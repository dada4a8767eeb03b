"""`mm-sample`: strings out of an artifact."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from makemore.commands.command import Command
from makemore.commands.options import (
    artifact_argument,
    device_option,
    sample_options,
    threads_option,
    trust_option,
)
from makemore.commands.terminal import to_show
from makemore.loading import Device, load
from makemore.options import SampleOptions
from makemore.sampler import Sampler

CHUNK = 65_536
"""Strings made and written at a time: any number fits in memory, and Ctrl-C keeps what is out."""


@click.command(cls=Command)
@artifact_argument
@click.option("-n", "n", default=20, show_default=True, help="How many strings to make.")
@sample_options
@device_option
@threads_option
@trust_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all results.")
def sample(
    artifact: Path,
    n: int,
    device: Device,
    threads: int | None,
    trust: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Makes strings with ARTIFACT: a folder, a model.onnx or a model.ts. One a line on stdout."""
    sampler = load(artifact, device=device, threads=threads, trust=trust)
    fresh_seed = flags["seed"] is None
    if fresh_seed:
        flags["seed"] = secrets.randbits(32)
    options = SampleOptions(**flags)
    first_row = options.first_row
    console = Console(stderr=True)
    rows: Iterable[int] = range(0, max(n, 1), CHUNK)  # of n <= 0 the sampler says what is wrong
    if n > CHUNK and console.is_terminal:
        rows = track(rows, "sampling", console=console, transient=True)
    for done in rows:
        options = replace(options, first_row=first_row + done)
        write_samples(sampler, min(n - done, CHUNK), options, as_json=as_json)
    if fresh_seed and not as_json:
        click.echo(f"seed {options.seed}", err=True)


def write_samples(sampler: Sampler, n: int, options: SampleOptions, *, as_json: bool) -> None:
    """Makes n strings and writes them to stdout."""
    if as_json:
        lines: Iterable[str] = [made.to_json() for made in sampler.sample_ids(n, **options)]
    else:
        lines = map(to_show, sampler.sample(n, **options))
    click.echo("".join(f"{line}\n" for line in lines), nl=False)
