"""A model that is loaded, and the calls into the C++ core that run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore._core import CancellationToken
from makemore.artifact import Artifact
from makemore.decoded import end_to_end
from makemore.errors import OptionError, OptionTypeError
from makemore.limits import integer, shown
from makemore.options import BATCH_SIZE, DrawOptions
from makemore.step import Step
from makemore.worker_pool import WorkerPool

if TYPE_CHECKING:
    from typing_extensions import Self

ROWS_PER_THREAD = 64
"""Fewer rows than this are not worth a thread of their own."""

CACHE_BYTES = 128 << 20
"""Memory of a sampler's prefix caches by default."""

_CACHE_BYTES = integer(0)

_ONE_PROMPT = np.empty(0, dtype=np.int64)
"""Offsets of prompts where all rows share one."""


class LoadedFrom(Protocol):
    """Where a model comes from."""

    def reduce(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A function that loads the model again in another process, and its arguments."""


class Engine:
    """A model, and workers that run it, which keep what they computed for the next calls."""

    batch_size: ClassVar[int] = BATCH_SIZE
    """Rows decoded together by default."""

    _loaded_from: LoadedFrom | None = None
    """What `makemore.load` opened, and how; None for an engine over another step."""

    _strategy: Literal["auto", "tree", "cached"] = "auto"
    """How rows share work; changes speed only. Tests compare all of them."""

    def __init__(
        self,
        artifact: Artifact,
        new_step: Callable[[], Step],
        *,
        device: str = "cpu",
        threads: int = 1,
        max_rows: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """A model over any step.

        new_step: makes a step; a call uses up to `threads` of them at a time.
        max_rows: rows that a step takes at most; larger batches are made smaller.
        cache_bytes: memory for the logits of common prefixes, for all calls together; 0: none is
          kept. Steps that are written in Python have no cache.
        """
        if threads < 1:
            raise OptionError(f"threads is {threads}; it must be >= 1")
        self.artifact = artifact
        self.vocabulary = artifact.vocabulary
        self.new_step = new_step
        self.device = device
        self.threads = threads
        self.max_rows = max_rows
        self.cache_bytes = _CACHE_BYTES.parse("cache_bytes", cache_bytes)
        self.clear_cache()
        self._begin()

    def _begin(self) -> None:
        """Makes what a subclass keeps beside the model."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A pickle says where the artifact is and how it was loaded; it is loaded again from there.

        `ArtifactError` where the file has changed since.
        """
        if self._loaded_from is None:
            raise OptionTypeError(
                "this sampler cannot be pickled: it was made with a new_step of its own, "
                "not by makemore.load"
            )
        return self._loaded_from.reduce()

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self.__copy__()

    def __copy__(self) -> Self:
        """Another one over the same model, with an empty cache."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other.clear_cache()
        return other

    def __repr__(self) -> str:
        training = self.artifact.training
        losses = training.losses.items() if training else ()
        nats = ", ".join(f"{name} {'inf' if n is None else f'{n:.4f}'}" for name, n in losses)
        return (
            f"<{type(self).__name__}: {self.artifact.model.type}, {len(self.vocabulary):,} tokens "
            f"({self.artifact.level}s), on {self.device}, nats per {self.artifact.level}: "
            f"{nats or 'unknown'}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def clear_cache(self) -> None:
        """Frees the memory of the cache; calls that are running free theirs when they end."""
        self._pool = WorkerPool(len(self.vocabulary), self.cache_bytes)

    def close(self) -> None:
        """Frees the cache and the model. Calls that are running end as usual; later ones raise
        `OptionError`.
        """
        self.new_step = _no_step
        self.clear_cache()

    def encode(self, string: str) -> list[int]:
        """Ids of a string as `score` takes it, start and stop left out.

        Raises `OptionError` for a character the model never saw or a string longer than its block.
        """
        ids = self.vocabulary.encode(string)
        self.check_length(len(ids), f"{shown(string)} has")
        return ids

    def texts(self, strings: Sequence[Sequence[int]]) -> list[str]:
        """The text of each string of ids."""
        return self.vocabulary.decode(*end_to_end(strings))

    @property
    def label_tokens(self) -> int:
        """How many tokens of each string are its label: 1, or 0 without labels."""
        return int(bool(self.artifact.labels))

    def require_label(self, label: str | None, what: str) -> None:
        """`OptionError` where the model has labels and none is given."""
        if label is None and self.label_tokens:
            labels = ", ".join(map(repr, self.vocabulary.labels))
            raise OptionError(f"{what} needs the label of a string, one of {labels}")

    def check_length(self, length: int, what: str) -> None:
        """`OptionError` where the model knows no string so long, its label not counted."""
        block_size = self.artifact.block_size
        if block_size is not None and length > block_size - 1 - self.label_tokens:
            raise OptionError(
                f"{what} {length} {self.artifact.level}s; "
                f"a block of {block_size} holds {block_size - 1 - self.label_tokens}"
            )

    def max_length_of(self, options: DrawOptions) -> int:
        """Most tokens of a string, its label counted."""
        if options.max_length is None:
            return self.artifact.max_length + self.label_tokens
        self.check_length(options.max_length, "max_length is")
        return options.max_length + self.label_tokens

    def prompt_of(self, prefix: str, options: DrawOptions) -> list[int]:
        """Ids that a string is forced to begin with: those of its label and of a prefix."""
        prompt = self.vocabulary.prompt(prefix)
        max_length = self.max_length_of(options) - self.label_tokens
        if len(prompt) > max_length:
            raise OptionError(
                f"prefix {prefix!r} has {len(prompt)} {self.artifact.level}s; "
                f"max_length is {max_length}"
            )
        if options.label is not None:
            return [self.vocabulary.label_id(options.label), *prompt]
        if prompt:
            self.require_label(None, f"prefix {prefix!r}")
        return prompt

    def draw(self, options: DrawOptions) -> dict[str, Any]:
        """What the core takes of how a token is drawn. `OptionError` where the model is closed."""
        if self.new_step is _no_step:
            _no_step()
        excluded = self.vocabulary.mask(options.exclude)
        draw: dict[str, Any] = {
            "options": _core.SamplingOptions(
                temperature=options.temperature,
                top_k=options.top_k,
                top_p=options.top_p,
                min_p=options.min_p,
            ),
            "excluded": _core.ExcludedTokens(excluded, len(self.vocabulary)) if excluded else None,
            "batch_size": self.rows_together(options.batch_size),
        }
        if options.adjust is not None or options.penalty != 1:
            draw["processors"] = self._processors(options)
        return draw

    def _processors(self, options: DrawOptions) -> list[_core.LogitsProcessor]:
        processors: list[_core.LogitsProcessor] = []
        if options.adjust is not None:
            processors.append(_core.PythonProcessor(options.adjust))
        if options.penalty != 1:
            processors.append(_core.RepetitionPenalty(options.penalty))
        return processors

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
        `draw` gives it, or more.
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
        workers, pool = self._borrow(rows)
        decoded = _core.decode(workers, request, rows, first_row, seed, log_probs, cancellation)
        pool.give_back(workers)
        return decoded

    def decode_texts(
        self,
        request: _core.Request,
        rows: int,
        first_row: int = 0,
        seed: int = 0,
        cancellation: CancellationToken | None = None,
    ) -> tuple[list[str], _core.Texts | _core.Strings]:
        """The texts of what `decode` gives, and what has their rows: no more is made, if it can be.

        One thread makes the texts while the others decode.
        """
        code_points = self.vocabulary.code_points
        if code_points is None:
            decoded = self.decode(request, rows, first_row, seed, False, cancellation)
            return self.vocabulary.texts_of(decoded), decoded
        workers, pool = self._borrow(rows)
        made = _core.decode_texts(
            workers, request, rows, first_row, seed, code_points, cancellation
        )
        pool.give_back(workers)
        return made.texts, made

    def distributions(
        self,
        prefixes: Sequence[Sequence[int]],
        draw: dict[str, Any],
        cancellation: CancellationToken | None = None,
    ) -> NDArray[np.float64]:
        """Probabilities (n, V) of the token after each prefix, as `draw` has them."""
        request = self._recorded(prefixes, **draw)
        workers, pool = self._borrow(len(prefixes))
        probabilities = _core.distributions(workers, request, cancellation)
        pool.give_back(workers)
        return probabilities

    def token_log_probs(
        self,
        strings: Sequence[Sequence[int]],
        *,
        batch_size: int | None = None,
        cancellation: CancellationToken | None = None,
    ) -> NDArray[np.float64]:
        """Natural-log probability of each token of all strings, laid end to end: (total,)."""
        request = self._recorded(strings, batch_size=self.rows_together(batch_size))
        workers, pool = self._borrow(len(strings))
        log_probs = _core.token_log_probs(workers, request, cancellation)
        pool.give_back(workers)
        return log_probs

    def _recorded(self, prompts: Sequence[Sequence[int]], **draw: Any) -> _core.Request:
        tokens, offsets = end_to_end(prompts)
        longest = max(map(len, prompts), default=0)
        return _core.Request(prompts=tokens, offsets=offsets, max_length=longest + 1, **draw)

    def _borrow(self, rows: int) -> tuple[list[_core.Worker], WorkerPool]:
        count = max(1, min(self.threads, rows // ROWS_PER_THREAD))
        pool = self._pool  # clear_cache replaces it, and so drops the workers of this call
        return [pool.borrow(self.new_step) for _ in range(count)], pool


def _no_step() -> Step:
    raise OptionError("this sampler is closed")
