"""What is asked of an export, checked without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from makemore.artifact import Precision
from makemore.errors import OptionError

from makemore_export.configs import CONFIGS, ModelSpec
from makemore_export.data.reading import Reading
from makemore_export.data.text import Content

FORMATS = ("makemore", "nanogpt", "transformers", "torch-rnn")
"""The formats of `makemore_export.importers`."""


class ExportOptions(NamedTuple):
    """See the options of `mm-export`. page: the files of --web."""

    samples: int
    precision: Precision
    fingerprints: bool
    torchscript: bool
    page: Mapping[str, bytes]
    as_json: bool


class ImportOptions(NamedTuple):
    """What a user says of another program's checkpoint beside its file.

    tokens: texts of its ids. names: ours of its modules, and those in the file. text: what it was
    trained on.
    """

    format: str | None
    tokens: list[str | None] | None
    names: Mapping[str, str]
    n_head: int | None
    text: Content | None
    reading: Reading


def import_options(
    source_format: str | None,
    tokens: Path | None,
    names: Sequence[str],
    text: Content | None,
    options: Mapping[str, Any],
) -> ImportOptions:
    """What the command line says; `OptionError` for what cannot be. tokens: of `read_token_list`.
    names: of `parse_names`. options: those of a training, of which a few are for imports, too.
    """
    return ImportOptions(
        format=source_format,
        tokens=None if tokens is None else read_token_list(tokens),
        names=parse_names(names),
        n_head=parse_heads(options["n_head"]),
        text=text,
        reading=Reading().with_options(options),
    )


def parse_precision(*, half: bool, int8: bool) -> Precision:
    """What `--half` and `--int8` ask for."""
    if half and int8:
        raise OptionError("--half and --int8 are two precisions; take one")
    return "float16" if half else "int8" if int8 else "float32"


def check_precision(precision: Precision, spec: ModelSpec) -> None:
    """`OptionError` where a model has nothing that is stored in int8."""
    parts = spec.config["parts"] if spec.model == "blend" else [{"model": spec.model}]
    names = [part["model"] for part in parts]
    if precision == "int8" and all(CONFIGS[name].is_lookup for name in names):
        raise OptionError(f"--int8 is for models with matrices; {', '.join(names)} has tables only")


def read_token_list(file: Path) -> list[str | None]:
    """A JSON list of the texts of a model's ids; `OptionError` where it is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[str | None])
    except OSError as error:
        raise OptionError(f"--tokens {file}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OptionError(
            f"--tokens {file}: must be a JSON list of strings, or null for no text: {error}"
        ) from None


def parse_heads(text: str | None) -> int | None:
    """The number of `--n-head`."""
    try:
        return None if text is None else int(text)
    except ValueError:
        raise OptionError(f"--n-head is {text!r}; it must be a number") from None


def parse_names(values: Sequence[str]) -> dict[str, str]:
    """Our names of modules, and those in the file, from `embedding=encoder`."""
    names = {}
    for value in values:
        ours, equals, theirs = value.partition("=")
        if not equals or ours not in ("embedding", "rnn", "head"):
            raise OptionError(
                f"--map is {value!r}; it must be embedding=NAME, rnn=NAME or head=NAME"
            )
        names[ours] = theirs
    return names
