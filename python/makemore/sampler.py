"""The sampler: strings from a model, and the probability of strings under it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from operator import sub
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore._core import CancellationToken
from makemore.artifact import Artifact
from makemore.errors import OptionError, OptionTypeError
from makemore.options import BATCH_SIZE, Limit, SampleCall, integer, shown, takes
from makemore.sample import Sample
from makemore.step import Step
from makemore.vocabulary import STOP
from makemore.worker_pool import WorkerPool

if TYPE_CHECKING:
    from typing_extensions import Self

ROWS_PER_THREAD = 64
"""Fewer rows than this are not worth a thread of their own."""

CACHE_BYTES = 64 << 20
"""Memory of a sampler's prefix caches by default."""

_BATCH_SIZE = integer(1)
_CACHE_BYTES = integer(0)
_STRING = Limit(str, "a string")

_ONE_PROMPT = np.empty(0, dtype=np.int64)
"""Offsets of prompts where all rows share one."""


class LoadedFrom(Protocol):
    """Where a sampler comes from."""

    def reduce(self) -> tuple[Callable[..., Sampler], tuple[Any, ...]]:
        """A function that loads the sampler again in another process, and its arguments."""


class Sampler:
    """Samples from a model and scores strings; `makemore.load` returns one.

    Several threads may use it at once: no two calls share a step. The logits of common prefixes are
    kept for the next calls in `cache_bytes` of memory, and at most a quarter more, however many
    threads call; that changes the speed only. A running call needs memory of its own beside the
    cache: its strings, and a few megabytes. `clear_cache` and `close` free the cache, and so does
    leaving a `with` block.
    """

    batch_size = BATCH_SIZE
    """Rows decoded together by default."""

    _loaded_from: LoadedFrom | None = None
    """What `makemore.load` opened, and how; None for a sampler over another step."""

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
        """A sampler over any step.

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

    def __reduce__(self) -> tuple[Callable[..., Sampler], tuple[Any, ...]]:
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
        """Another sampler over the same model, with an empty cache."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other.clear_cache()
        return other

    def __repr__(self) -> str:
        losses = self.artifact.training.losses.items()
        nats = ", ".join(f"{part} {'inf' if n is None else f'{n:.4f}'}" for part, n in losses)
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

    @takes(SampleCall)
    def sample(self, call: SampleCall) -> list[str]:
        """Makes n strings. A string depends on artifact, options, seed and row alone: neither batch
        size nor threads change it.

        cancellation: ends the call from another thread, before its next step. Threads cannot be
          interrupted, so that a program with asyncio needs it to stop waiting:

              token = makemore.CancellationToken()
              call = asyncio.to_thread(sampler.sample, 1_000_000, cancellation=token)
              try:
                  names = await asyncio.wait_for(call, timeout=1)
              finally:
                  token.cancel()  # nothing happens where the call has ended

          With a thread pool: `pool.submit(sampler.sample, n, cancellation=token)`.

        Raises `OptionError` for an option outside its range, or a character or word of `prefix` or
        `exclude` that the model does not know; `CancelledError`.
        """
        ids, offsets, *_ = self._sample(call)
        return self.vocabulary.decode(ids, offsets)

    @takes(SampleCall)
    def sample_ids(self, call: SampleCall) -> list[Sample]:
        """Makes the strings that `sample` makes, each with its ids, log-probability, finish reason,
        seed and row.
        """
        ids, offsets, log_probs, stopped, seed = self._sample(call, log_probs=True)
        wide = ids.astype(np.int64)
        return [
            Sample(
                text=text,
                ids=wide[offsets[i] : offsets[i + 1]],
                log_prob=float(log_probs[i]),
                finish_reason="stop" if stopped[i] else "length",
                seed=seed,
                row=call.first_row + i,
            )
            for i, text in enumerate(self.vocabulary.decode(ids, offsets))
        ]

    def score(
        self,
        strings: Iterable[str],
        *,
        on_unknown: Literal["error", "-inf"] = "error",
        batch_size: int | None = None,
        cancellation: CancellationToken | None = None,
    ) -> NDArray[np.float64]:
        """Natural-log probability of each whole string, its stop included: (n,) float64.

        A word that the model does not know counts with the probability of an unknown one.

        on_unknown: "error" raises `OptionError` for a string that holds a character the model never
          saw or is longer than its block; with "-inf" minus infinity is the score of that string.
        batch_size: strings scored together, which changes the speed only.
        """
        if on_unknown not in ("error", "-inf"):
            raise OptionError(f"on_unknown is {shown(on_unknown)}; it must be 'error' or '-inf'")
        batch_size = _BATCH_SIZE.parse(
            "batch_size", BATCH_SIZE if batch_size is None else batch_size
        )
        listed = list_strings(strings)
        known: list[int] = []
        tokens: list[int] = []
        offsets = [0]
        for i, string in enumerate(listed):
            try:
                ids = self.encode(string)
            except OptionError as error:
                if on_unknown == "error":
                    raise OptionError(f"string number {i + 1}: {error}") from None
                continue
            known.append(i)
            tokens += [*ids, STOP]
            offsets.append(len(tokens))
        *_, log_probs, _ = self._decode(
            len(known),
            prompts=np.array(tokens, dtype=np.int64),
            offsets=np.array(offsets, dtype=np.int64),
            max_length=max(map(sub, offsets[1:], offsets), default=1),
            batch_size=batch_size,
            cancellation=cancellation,
        )
        scores = np.full(len(listed), -np.inf)
        scores[known] = log_probs
        return scores

    def encode(self, string: str) -> list[int]:
        """Ids of a string as `score` takes it, start and stop left out.

        Raises `OptionError` for a character the model never saw or a string longer than its block.
        """
        ids = self.vocabulary.encode(string)
        self._check_length(len(ids), f"{shown(string)} has")
        return ids

    def _sample(
        self, call: SampleCall, *, log_probs: bool = False
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8], int]:
        """Token ids (total,), offsets (n + 1,), log-probabilities (n,), stopped (n,), seed."""
        max_length = self.artifact.max_length if call.max_length is None else call.max_length
        self._check_length(max_length, "max_length is")
        prompt = self.vocabulary.prompt(call.prefix)
        if len(prompt) > max_length:
            raise OptionError(
                f"prefix {call.prefix!r} has {len(prompt)} {self.artifact.level}s; "
                f"max_length is {max_length}"
            )
        if call.first_row + call.n > 2**64:
            raise OptionError(f"first_row is {call.first_row}; with {call.n} rows it passes 2**64")
        seed = secrets.randbits(63) if call.seed is None else call.seed
        ids, offsets, nats, stopped = self._decode(
            call.n,
            prompts=np.array(prompt, dtype=np.int64),
            offsets=_ONE_PROMPT,
            first_row=call.first_row,
            max_length=max_length,
            options=_core.SamplingOptions(
                temperature=call.temperature,
                top_k=call.top_k,
                top_p=call.top_p,
                min_p=call.min_p,
            ),
            constraint=self._constraint(call.exclude),
            seed=seed,
            batch_size=self.batch_size if call.batch_size is None else call.batch_size,
            cancellation=call.cancellation,
            log_probs=log_probs,
        )
        return ids, offsets, nats, stopped, seed

    def _constraint(self, exclude: str) -> _core.Constraint | None:
        ids = self.vocabulary.mask(exclude)
        return _core.ExcludedTokens(ids, len(self.vocabulary)) if ids else None

    def _check_length(self, length: int, what: str) -> None:
        block_size = self.artifact.block_size
        if block_size is not None and length > block_size - 1:
            raise OptionError(
                f"{what} {length} {self.artifact.level}s; "
                f"a block of {block_size} holds {block_size - 1}"
            )

    def _decode(
        self, rows: int, **request: Any
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]:
        """`_core.decode` on as many threads as are worth having for so many rows."""
        if self.max_rows is not None:
            request["batch_size"] = min(request["batch_size"], self.max_rows)
        count = max(1, min(self.threads, rows // ROWS_PER_THREAD))
        pool = self._pool  # clear_cache replaces it, and so drops the workers of this call
        workers = [pool.borrow(self.new_step) for _ in range(count)]
        decoded = _core.decode(workers, rows=rows, strategy=self._strategy, **request)
        pool.give_back(workers)
        return decoded


def _no_step() -> Step:
    raise OptionError("this sampler is closed")


def list_strings(strings: Iterable[str]) -> list[str]:
    """What `score` is given as a list; `OptionTypeError` where it is not all strings."""
    if isinstance(strings, str | bytes):
        raise OptionTypeError(f"score takes a list of strings, not one: {shown(strings)}")
    try:
        listed = list(strings)
    except TypeError:
        raise OptionTypeError(f"score takes a list of strings, not {shown(strings)}") from None
    return [_STRING.parse(f"string number {i}", each) for i, each in enumerate(listed, 1)]
