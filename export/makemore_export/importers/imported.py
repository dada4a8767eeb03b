"""What an importer is given, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from makemore.errors import OptionError
from makemore.vocabulary import Level
from torch import Tensor

from makemore_export.models import Model
from makemore_export.models.token_ids import TokenIds


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
    """A model of the family, or one made for its kind, with the texts of our tokens."""

    model: Model
    name: str
    config: Mapping[str, Any]
    ids: TokenIds

    @property
    def level(self) -> Level:
        """Characters, where every token is one code point."""
        return "character" if all(len(text) == 1 for text in self.ids.texts) else "token"


def rows_of(table: Tensor, ids: Sequence[int]) -> Tensor:
    """Rows of a table in the order of our tokens."""
    return table[list(ids)]
