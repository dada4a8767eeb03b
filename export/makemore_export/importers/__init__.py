"""Checkpoints of other programs. A new one is a file in this folder and a line in this table."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from makemore.errors import CheckpointError, OptionError

from makemore_export.importers import makemore, nanogpt, torch_rnn, transformers
from makemore_export.importers.imported import Given, Imported
from makemore_export.importers.tensor_file import TensorFile, is_foreign, read_tensors


class Importer(NamedTuple):
    """Whether a file is of its format, and the model that is in it."""

    recognises: Callable[[TensorFile], bool]
    read: Callable[[TensorFile, Given], Imported]


IMPORTERS = {
    "nanogpt": Importer(nanogpt.recognises, nanogpt.read),
    "transformers": Importer(transformers.recognises, transformers.read),
    "makemore": Importer(makemore.recognises, makemore.read),
    "torch-rnn": Importer(torch_rnn.recognises, torch_rnn.read),
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
    try:
        return IMPORTERS[name].read(source, given)
    except (CheckpointError, OptionError) as error:
        text = str(error)
        shown = text if str(source.file) in text else f"{source.file}: {text}"
        raise type(error)(shown) from None


__all__ = [
    "IMPORTERS",
    "Given",
    "Imported",
    "Importer",
    "TensorFile",
    "format_of",
    "is_foreign",
    "read_model",
    "read_tensors",
]
