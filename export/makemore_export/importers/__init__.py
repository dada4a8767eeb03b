"""Checkpoints of other programs. A new one is a file in this folder and a line in this table."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import NamedTuple

import msgspec
from makemore.errors import CheckpointError, OptionError

from makemore_export.importers import makemore, nanogpt, torch_rnn, transformers
from makemore_export.importers.imported import Given, Imported
from makemore_export.importers.tensor_file import TensorFile, read_tensors


class Importer(NamedTuple):
    """Whether a file is of its format, the model that is in it, and what of `Given` it makes use of
    beside the tokens.
    """

    recognises: Callable[[TensorFile], bool]
    read: Callable[[TensorFile, Given], Imported]
    uses: Set[str] = frozenset()


IMPORTERS = {
    "nanogpt": Importer(nanogpt.recognises, nanogpt.read),
    "transformers": Importer(transformers.recognises, transformers.read),
    "makemore": Importer(makemore.recognises, makemore.read, {"n_head"}),
    "torch-rnn": Importer(torch_rnn.recognises, torch_rnn.read, {"names"}),
}
"""Asked one after the other, whether they recognise a file."""


def format_of(source: TensorFile, asked: str | None = None) -> str:
    """The format asked for, or the first that recognises the file.

    `CheckpointError` where none does, `OptionError` for one that is asked for and unknown.
    """
    if asked is not None:
        if asked not in IMPORTERS:
            raise OptionError(f"format {asked!r} is unknown; known: {', '.join(IMPORTERS)}")
        return asked
    found = [name for name, importer in IMPORTERS.items() if importer.recognises(source)]
    if not found:
        raise CheckpointError(
            f"{source.file}: its tensors are of no format that is known here: "
            f"{', '.join(IMPORTERS)}; a module of your own is exported with "
            "makemore_export.export_model"
        )
    return found[0]


def read_model(source: TensorFile, name: str, given: Given) -> Imported:
    """The model of a file in the format of that name; `CheckpointError` or `OptionError` where it
    cannot be, with the name of the file.
    """
    for option, field in {"--n-head": "n_head", "--map": "names"}.items():
        if getattr(given, field) and field not in IMPORTERS[name].uses:
            raise OptionError(f"{source.file}: {option} is of no use for a checkpoint of {name}")
    try:
        return IMPORTERS[name].read(source, given)
    except (CheckpointError, OptionError) as error:
        text = str(error)
        shown = text if str(source.file) in text else f"{source.file}: {text}"
        raise type(error)(shown) from None
    except (LookupError, RuntimeError, TypeError, ValueError, msgspec.MsgspecError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{source.file}: not what {name} saves: {type(error).__name__}: {reason}"
        ) from None


__all__ = [
    "IMPORTERS",
    "Given",
    "Imported",
    "Importer",
    "TensorFile",
    "format_of",
    "read_model",
    "read_tensors",
]
