"""`mm-sample`: strings out of an artifact."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import track

from makemore.commands.command import Command
from makemore.commands.options import (
    artifact_argument,
    batch_size_option,
    device_option,
    threads_option,
)
from makemore.loading import Device, load
from makemore.sampler import SampleOptions, Sampler

CHUNK = 65_536
"""Strings made and written at a time: any number fits in memory, and Ctrl-C keeps what is out."""


@click.command(cls=Command)
@artifact_argument
@click.option("-n", "n", default=20, show_default=True, help="How many strings to make.")
@click.option("--temperature", default=1.0, show_default=True, help="Lower is safer; 0 is argmax.")
@click.option("--top-k", default=0, show_default=True, help="Keep the k likeliest; 0 keeps all.")
@click.option("--top-p", default=1.0, show_default=True, help="Keep the smallest set of mass p.")
@click.option("--min-p", default=0.0, show_default=True, help="Keep p times the likeliest and up.")
@click.option("--prefix", default="", help="What every string begins with.")
@click.option("--exclude", default="", help="Characters, or words, that are never made.")
@click.option("--max-length", type=int, help="Most characters or words.  [default: the artifact's]")
@click.option("--seed", type=int, help="Same seed, same strings.  [default: fresh entropy]")
@click.option("--first-row", default=0, show_default=True, help="Number of the first string.")
@batch_size_option
@device_option
@threads_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all results.")
def sample(
    artifact: Path,
    n: int,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    prefix: str,
    exclude: str,
    max_length: int | None,
    seed: int | None,
    first_row: int,
    batch_size: int | None,
    device: Device,
    threads: int | None,
    as_json: bool,
) -> None:
    """Makes strings with ARTIFACT: a folder, a model.onnx or a model.ts. One a line on stdout."""
    sampler = load(artifact, device=device, threads=threads)
    fresh_seed = seed is None
    if seed is None:
        seed = secrets.randbits(32)
    options = SampleOptions(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        prefix=prefix,
        exclude=exclude,
        max_length=max_length,
        seed=seed,
        batch_size=batch_size,
    )
    console = Console(stderr=True)
    rows: Iterable[int] = range(0, max(n, 1), CHUNK)  # of n <= 0 the sampler says what is wrong
    if n > CHUNK and console.is_terminal:
        rows = track(rows, "sampling", console=console, transient=True)
    for done in rows:
        options["first_row"] = first_row + done
        write_samples(sampler, min(n - done, CHUNK), options, as_json=as_json)
    if fresh_seed and not as_json:
        click.echo(f"seed {seed}", err=True)


def write_samples(sampler: Sampler, n: int, options: SampleOptions, *, as_json: bool) -> None:
    """Makes n strings and writes them to stdout."""
    if not as_json:
        lines = sampler.sample(n, **options)
    else:
        lines = [
            msgspec.json.encode(
                {
                    "text": made.text,
                    "ids": made.ids.tolist(),
                    "log_prob": made.log_prob,
                    "finish_reason": made.finish_reason,
                    "seed": made.seed,
                    "row": made.row,
                }
            ).decode()
            for made in sampler.sample_ids(n, **options)
        ]
    click.echo("".join(f"{line}\n" for line in lines), nl=False)
