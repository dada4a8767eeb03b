"""`mm-sample` and `mm-score`: strings out of an artifact, and probabilities of strings under it."""

from __future__ import annotations

import codecs
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import track

from makemore.command import Command
from makemore.device_sampler import CUDA_BATCH_SIZE
from makemore.errors import OptionError
from makemore.loading import Device, load
from makemore.sampler import BATCH_SIZE, SampleOptions, Sampler

CHUNK = 65_536
"""Strings made and written at a time: any number fits in memory, and Ctrl-C keeps what is out."""

artifact_argument = click.argument("artifact", type=click.Path(path_type=Path))
device_option = click.option(
    "--device", type=click.Choice(["cpu", "cuda", "auto"]), default="cpu", show_default=True
)
threads_option = click.option("--threads", type=int, help="Batches at once.  [default: all cores]")
batch_size_option = click.option(
    "--batch-size",
    type=int,
    help=f"Rows decoded together.  [default: {BATCH_SIZE:,}; samples on CUDA: {CUDA_BATCH_SIZE:,}]",
)


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


@click.command(cls=Command)
@artifact_argument
@click.argument("text", type=click.Path(path_type=Path, allow_dash=True), default="-")
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of TEXT.")
@batch_size_option
@device_option
@threads_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all results.")
def score(
    artifact: Path,
    text: Path,
    encoding: str,
    batch_size: int | None,
    device: Device,
    threads: int | None,
    as_json: bool,
) -> None:
    """Scores the lines of TEXT (stdin by default) with ARTIFACT.

    Prints the natural-log probability of each line, its stop included, and on stderr the mean over
    all characters, or words, stops counted. Blank lines and white space at the ends are left out,
    as in training. In JSON, the log-probability of an impossible line, minus infinity, is null.
    """
    sampler = load(artifact, device=device, threads=threads)
    strings = read_strings(text, encoding)
    scores = sampler.score(strings, batch_size=batch_size)
    level = sampler.artifact.level
    tokens = sum(len(sampler.vocabulary.encode(string)) + 1 for string in strings)
    nll = -float(scores.sum()) / tokens
    if as_json:
        result = {
            "scores": [
                {"text": string, "log_prob": float(value)}
                for string, value in zip(strings, scores, strict=True)
            ],
            f"{level}s": tokens,
            f"nll_per_{level}": nll,
        }
        click.echo(msgspec.json.encode(result))
        return
    click.echo("".join(f"{v:.6f}\t{s}\n" for s, v in zip(strings, scores, strict=True)), nl=False)
    click.echo(
        f"{len(strings)} strings, {tokens} {level}s with stops: {nll:.4f} nats per {level}",
        err=True,
    )


def read_strings(path: Path, encoding: str) -> list[str]:
    """The lines of a file, or of stdin for "-"; `OptionError` where they cannot be read."""
    try:
        codecs.lookup(encoding)
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = data.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise OptionError(f"encoding {encoding!r} is unknown") from None
    except UnicodeDecodeError as error:
        raise OptionError(f"{path} is not {encoding} at byte {error.start}") from None
    except UnicodeError as error:
        raise OptionError(f"{path} cannot be read as {encoding}: {error}") from None
    # Not str.splitlines, which also breaks at characters that a line may hold.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    strings = [line.strip() for line in lines if line.strip()]
    if not strings:
        raise OptionError(f"{path} holds no line to score")
    return strings
