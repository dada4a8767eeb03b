"""What an importer is given, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from makemore.errors import OptionError
from makemore.vocabulary import Level

from makemore_export.models import Model
from makemore_export.models.token_ids import TokenIds

_PADDED_TO = (64, 128)
"""Multiples to which an embedding is padded, for the speed of GPUs: 50,304 for 50,257 ids."""


class Given(NamedTuple):
    """What is known beside the tensors.

    tokens: texts of the ids as `TokenIds.of` takes them. lines: of a text that has the vocabulary.
    whole: that text as it is. n_head: heads of the attention. names: by our names, those in the
    file. header: what the file says of itself, such as the `model_args` of nanoGPT.
    """

    tokens: Sequence[str | None] | None = None
    lines: Sequence[str] | None = None
    whole: str | None = None
    n_head: int | None = None
    names: Mapping[str, str] = {}
    header: Mapping[str, Any] = {}

    def required_heads(self, usual: str) -> int:
        """The number of heads; `OptionError` where it is not given: no tensor has it."""
        if self.n_head is None:
            raise OptionError(f"the file does not say how many heads: give --n-head ({usual})")
        return self.n_head


class Imported(NamedTuple):
    """A model of the family, or one made for its kind, with the texts of our tokens. `notes`: what
    else is to be known.
    """

    model: Model
    name: str
    config: Mapping[str, Any]
    ids: TokenIds
    notes: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """Characters, where every token is one code point."""
        return "character" if all(len(text) == 1 for text in self.ids.texts) else "token"


def check_size(ids: TokenIds, rows: int, *, padded: bool = False) -> None:
    """`OptionError` unless the tokens are those of all rows of an embedding.

    padded: it may have more rows, up to the next multiple of 64 or 128.
    """
    spare = rows - ids.size
    if spare and not (padded and any(spare == -ids.size % each for each in _PADDED_TO)):
        raise OptionError(
            f"the tokens, with the start and stop, are {ids.size:,} ids; the embedding has {rows:,}"
        )


def notes_of(ids: TokenIds, rows: int) -> tuple[str, ...]:
    """What is to be known of the ids that an artifact leaves out, of a model with so many."""
    out = rows - len(ids.outputs)
    if not out:
        return ()
    return (
        f"{out:,} of the {rows:,} ids of the model stand for no text and are never made: the "
        "others have their probability, each in proportion to its own.",
    )
