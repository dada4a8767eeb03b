"""How the things of a text are found in its file."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec
from makemore.errors import OptionError
from makemore.reading.decoding import UTF8
from msgspec.structs import replace


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of a reading, which a run keeps, so that its text is always read alike.

    With `column` the file is a table with a row of names, and one thing is a cell of that column;
    that of `label_column` is its label. With `separator` it is what is between two of them, else a
    line. `lower` and `nfc` change each thing, its label too.
    """

    encoding: str = UTF8
    column: str | None = None
    label_column: str | None = None
    lower: bool = False
    nfc: bool = False
    separator: str | None = None

    def __post_init__(self) -> None:
        if self.label_column is not None and self.column is None:
            raise OptionError(
                f"--label-column {self.label_column} needs --column, which names that of the texts"
            )
        if self.separator == "":
            raise OptionError("--separator is empty; it must be a text, or blank for blank lines")
        if self.separator is not None and self.column is not None:
            raise OptionError("--separator does not go with --column, whose rows are the items")

    def normalised(self, string: str) -> str:
        """A thing of the text as it is trained on."""
        if self.lower:
            string = string.lower()
        return unicodedata.normalize("NFC", string) if self.nfc else string

    def with_options(self, options: Mapping[str, Any]) -> Reading:
        """The same but for the options that were given; None stands for one that was not."""
        names = self.__struct_fields__
        given = {name: options[name] for name in names if options.get(name) is not None}
        return replace(self, **given)

    def differences(self, new: Reading) -> list[str]:
        """What another reading does otherwise, in words; the characters tell another encoding."""
        return [
            f"{name} {getattr(self, name)}, now {getattr(new, name)}"
            for name in self.__struct_fields__
            if name != "encoding" and getattr(self, name) != getattr(new, name)
        ]
