"""Workers that run a model, and the calls into the C++ core that they are lent to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore._core import CancellationToken
from makemore.common_prefixes import CommonPrefixes
from makemore.decoded import end_to_end
from makemore.errors import OptionError
from makemore.limits import integer
from makemore.options import BATCH_SIZE
from makemore.step import Step
from makemore.vocabulary import Vocabulary

Result = TypeVar("Result")

ROWS_PER_THREAD = 64
"""Fewer rows than this are not worth a thread of their own."""

CACHE_BYTES = 128 << 20
"""Memory of what a sampler's calls have in common, by default."""

_CACHE_BYTES = integer(0)

_ONE_PROMPT = np.empty(0, dtype=np.int64)
"""Offsets of prompts where all rows share one."""


class Decoder:
    """A model, and workers that run it, which keep what they computed for the next calls."""

    batch_size: ClassVar[int] = BATCH_SIZE
    """Rows decoded together by default."""

    _strategy: Literal["auto", "tree", "cached"] = "auto"
    """How rows share work; changes speed only. Tests compare all of them."""

    common_prefixes: CommonPrefixes | None = None
    """Those of the model, where more of them are found as calls are made."""

    _texts_as_decoded: ClassVar[bool] = True
    """Whether texts can be made as strings finish; else they are made of what `decode` gives."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        new_step: Callable[[], Step],
        *,
        threads: int,
        max_rows: int | None,
        cache_bytes: int,
    ) -> None:
        """The options are those of `Engine`."""
        if threads < 1:
            raise OptionError(f"threads is {threads}; it must be >= 1")
        self.vocabulary = vocabulary
        self.new_step = new_step
        self.threads = threads
        self.max_rows = max_rows
        self.cache_bytes = _CACHE_BYTES.parse("cache_bytes", cache_bytes)
        self._new_pool()

    def _new_pool(self) -> None:
        self._pool = _core.WorkerPool(len(self.vocabulary), self.cache_bytes)

    def clear_cache(self) -> None:
        """Frees what earlier calls left in the cache; those that are running free theirs when they
        end. What follows the model's common prefixes stays.
        """
        self._pool.clear()

    def close(self) -> None:
        """Frees the cache and the model. Calls that are running end as usual; later ones raise
        `OptionError`.
        """
        self.new_step = no_step
        self.common_prefixes = None
        self._new_pool()  # calls that are running keep the old one

    def rows_together(self, batch_size: int | None) -> int:
        """Rows of a step: as asked for, or as usual, but not more than the model takes."""
        rows = self.batch_size if batch_size is None else batch_size
        return rows if self.max_rows is None else min(rows, self.max_rows)

    def request(
        self,
        prompts: Sequence[Sequence[int]] | None = None,
        *,
        prompt: Sequence[int] = (),
        max_length: int,
        **draw: Any,
    ) -> _core.Request:
        """What the core is asked for, but which rows: a prompt for each, or one for all; `draw` as
        `Engine.draw` gives it, or more.
        """
        ids = np.array(prompt, dtype=np.int64)
        tokens, offsets = (ids, _ONE_PROMPT) if prompts is None else end_to_end(prompts)
        draw = {"batch_size": self.rows_together(None), "strategy": self._strategy, **draw}
        return _core.Request(prompts=tokens, offsets=offsets, max_length=max_length, **draw)

    def decode(
        self,
        request: _core.Request,
        rows: int,
        first_row: int = 0,
        seed: int = 0,
        log_probs: bool = True,
        cancellation: CancellationToken | None = None,
    ) -> _core.Strings:
        """Decodes rows on as many threads as are worth having for so many."""
        return self._run(
            _core.decode, rows, request, rows, first_row, seed, log_probs, cancellation
        )

    def decode_texts(
        self,
        request: _core.Request,
        rows: int,
        first_row: int = 0,
        seed: int = 0,
        cancellation: CancellationToken | None = None,
    ) -> tuple[list[str], _core.Texts | _core.Strings]:
        """The texts of what `decode` gives, and what has their rows: no more is made, if it can be.

        With several threads, texts are made of strings that have finished while others are drawn.
        """
        code_points = self.vocabulary.code_points if self._texts_as_decoded else None
        if code_points is None:
            decoded = self.decode(request, rows, first_row, seed, False, cancellation)
            return self.vocabulary.texts_of(decoded), decoded
        made = self._run(
            _core.decode_texts, rows, request, rows, first_row, seed, code_points, cancellation
        )
        return made.texts, made

    def distributions(
        self,
        prefixes: Sequence[Sequence[int]],
        draw: dict[str, Any],
        cancellation: CancellationToken | None = None,
    ) -> NDArray[np.float64]:
        """Probabilities (n, V) of the token after each prefix, as `draw` has them."""
        request = self._recorded(prefixes, **draw)
        return self._run(_core.distributions, len(prefixes), request, cancellation)

    def token_log_probs(
        self,
        strings: Sequence[Sequence[int]],
        *,
        batch_size: int | None = None,
        cancellation: CancellationToken | None = None,
    ) -> NDArray[np.float64]:
        """Natural-log probability of each token of all strings, laid end to end: (total,)."""
        request = self._recorded(strings, batch_size=self.rows_together(batch_size))
        return self._run(_core.token_log_probs, len(strings), request, cancellation)

    def _recorded(self, prompts: Sequence[Sequence[int]], **draw: Any) -> _core.Request:
        tokens, offsets = end_to_end(prompts)
        longest = max(map(len, prompts), default=0)
        return _core.Request(prompts=tokens, offsets=offsets, max_length=longest + 1, **draw)

    def _run(self, run: Callable[..., Result], rows: int, *arguments: object) -> Result:
        """Calls a function of the core, which borrows workers for so many rows."""
        began = time.monotonic()
        threads = min(self.threads, rows // ROWS_PER_THREAD) or 1
        result = run(self._pool, self.new_step, threads, *arguments)
        common = self.common_prefixes
        if common is not None:
            common.end_call(time.monotonic() - began)
        return result


def no_step() -> Step:
    """That of a model that is closed."""
    raise OptionError("this sampler is closed")
