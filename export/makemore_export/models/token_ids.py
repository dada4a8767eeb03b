"""The numbers that a model from elsewhere has for its tokens, and ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from makemore.errors import OptionError, OptionTypeError
from makemore.limits import integer, shown

_ID = integer(0)


class TokenIds(NamedTuple):
    """`texts`: the tokens in our order, ids 1 to V - 1. `order`: the model's own id of each.
    `size`: how many ids the model has, those without a text too.

    `start` is the id that the model is fed first, `stop` the one that ends a string; ours is 0 for
    both.
    """

    texts: tuple[str, ...]
    order: tuple[int, ...]
    size: int
    start: int = 0
    stop: int = 0

    @classmethod
    def of(
        cls, tokens: Sequence[str | None], *, start: int | None = None, stop: int | None = None
    ) -> TokenIds:
        """From the texts of a model's ids, in order.

        tokens: of all ids from 0 on, None for one that stands for no text. A list without None is
          that of the ids from 1 on, where 0 starts and stops, unless `start` or `stop` is given.
        start, stop: where they are not given, the only id without a text; `stop` is else `start`.

        `OptionError` where they cannot be told.
        """
        if isinstance(tokens, bytes) or not isinstance(tokens, Sequence):
            raise OptionTypeError(f"tokens is {shown(tokens)}; it must be a list of texts")
        start = None if start is None else _ID.parse("start", start)
        stop = None if stop is None else _ID.parse("stop", stop)
        listed = list(tokens)
        if None not in listed and start is None and stop is None:
            listed = [None, *listed]
        if start is None and stop is None:
            special = [i for i, text in enumerate(listed) if text is None]
            if len(special) != 1:
                raise OptionError(
                    f"tokens has {len(special)} ids without a text; say which is start and stop"
                )
            start = special[0]
        first = start if start is not None else stop
        last = stop if stop is not None else start
        if first is None or last is None:  # never: one of them is given here
            raise OptionError("start and stop are not given")
        for name, value in (("start", start), ("stop", stop)):
            if value is not None and not 0 <= value < len(listed):
                raise OptionError(f"{name} is {value}; tokens has ids 0 to {len(listed) - 1}")
        order = tuple(
            i for i, text in enumerate(listed) if text is not None and i not in (first, last)
        )
        texts = tuple(text for i in order if (text := listed[i]) is not None)
        return cls(texts, order, len(listed), first, last)

    @property
    def inputs(self) -> list[int]:
        """The model's id that is fed for each of ours, (V,)."""
        return [self.start, *self.order]

    @property
    def outputs(self) -> list[int]:
        """The model's id whose logit each of ours has, (V,)."""
        return [self.stop, *self.order]

    def is_ours(self, vocab_size: int) -> bool:
        """Whether a model of so many ids numbers its tokens as we do."""
        ours = [*range(vocab_size)]
        return self.inputs == ours and self.outputs == ours
