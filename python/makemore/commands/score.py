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
)
from makemore.errors import OptionError
from makemore.loading import Device, load


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
