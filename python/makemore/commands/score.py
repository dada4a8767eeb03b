"""`mm-score`: probabilities of strings under an artifact."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path

import click
import msgspec

from makemore.commands.command import Command
from makemore.commands.options import (
    artifact_argument,
    batch_size_option,
    device_option,
    threads_option,
    trust_option,
)
from makemore.commands.terminal import to_show
from makemore.errors import OptionError
from makemore.loading import Device, load
from makemore.sampler import Sampler
from makemore.text import numbered_lines


@click.command(cls=Command)
@artifact_argument
@click.argument("text", type=click.Path(path_type=Path, allow_dash=True), default="-")
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of TEXT.")
@batch_size_option
@device_option
@threads_option
@trust_option
@click.option(
    "--keep-going",
    is_flag=True,
    help="A line with an unknown character, or too long, scores -inf and is left out of the mean.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all results.")
def score(
    artifact: Path,
    text: Path,
    encoding: str,
    batch_size: int | None,
    device: Device,
    threads: int | None,
    trust: bool,
    keep_going: bool,
    as_json: bool,
) -> None:
    """Scores the lines of TEXT (stdin by default) with ARTIFACT.

    Prints the natural-log probability of each line, its stop included, and on stderr the mean over
    all characters, or words, stops counted. Blank lines and white space at the ends are left out,
    as in training. In JSON, the log-probability of an impossible line, minus infinity, is null.
    """
    sampler = load(artifact, device=device, threads=threads, trust=trust)
    lines = read_lines(text, encoding)
    lengths, unknown = count_tokens(sampler, lines)
    if unknown and not keep_going:
        raise OptionError(f"{text}, {unknown[0]}; --keep-going scores the others")
    strings = [string for _, string in lines]
    scores = sampler.score(strings, on_unknown="-inf", batch_size=batch_size)
    level = sampler.artifact.level
    tokens = sum(length for length in lengths if length)
    total = sum(float(v) for v, length in zip(scores, lengths, strict=True) if length)
    nll = -total / tokens if tokens else None
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
    rows = zip(scores, map(to_show, strings), strict=True)
    click.echo("".join(f"{score:.6f}\t{string}\n" for score, string in rows), nl=False)
    for message in unknown:
        click.echo(to_show(f"{text}, {message}", sys.stderr), err=True)
    mean = "none known" if nll is None else f"{nll:.4f} nats per {level}"
    click.echo(
        f"{len(strings) - len(unknown)} strings, {tokens} {level}s with stops: {mean}", err=True
    )


def count_tokens(
    sampler: Sampler, lines: list[tuple[int, str]]
) -> tuple[list[int | None], list[str]]:
    """Tokens of each line, its stop counted, or None where the model cannot score it; and why."""
    lengths: list[int | None] = []
    unknown = []
    for number, string in lines:
        try:
            lengths.append(len(sampler.encode(string)) + 1)
        except OptionError as error:  # noqa: PERF203
            lengths.append(None)
            unknown.append(f"line {number}: {error}")
    return lengths, unknown


def read_lines(path: Path, encoding: str) -> list[tuple[int, str]]:
    """The lines of a file, or of stdin for "-", with their numbers and without the blank ones.

    Raises `OptionError` where they cannot be read.
    """
    try:
        codecs.lookup(encoding)
        if str(path) == "-" and sys.stdin is None:
            raise OptionError("standard input is closed; name a file to score")
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = data.decode(encoding)
    except LookupError:
        raise OptionError(f"encoding {encoding!r} is unknown") from None
    except UnicodeDecodeError as error:
        raise OptionError(f"{path} is not {encoding} at byte {error.start}") from None
    except UnicodeError as error:
        raise OptionError(f"{path} cannot be read as {encoding}: {error}") from None
    strings = numbered_lines(text)
    if not strings:
        raise OptionError(f"{path} holds no line to score")
    return strings
