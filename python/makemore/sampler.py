"""The sampler: strings from a model, and the probability of strings under it."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from operator import sub
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from makemore import _core
from makemore._core import CancellationToken
from makemore.artifact import Artifact
from makemore.errors import OptionError, StepError
from makemore.step import Step
from makemore.vocabulary import STOP

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

BATCH_SIZE = 256
"""Rows decoded together unless told otherwise."""

ROWS_PER_THREAD = 64
"""Fewer rows than this are not worth a thread of their own."""

CACHE_BYTES = 64 << 20
"""Memory of a sampler's prefix caches, unless told otherwise."""

IDLE_SECONDS = 10.0
"""A cache that was not used for so long, while others were, is freed."""

_ONE_PROMPT = np.empty(0, dtype=np.int64)
"""Offsets of prompts where all rows share one."""


class Sample(NamedTuple):
    """One string, and what is known of it; the same seed, row and options give it again.

    ids: (length,) int64, start and stop left out. log_prob: natural-log probability under the
    model itself, whatever the options were: of the whole string where it came to its stop, of its
    tokens alone where it was cut at `max_length` (finish_reason "length").
    """

    text: str
    ids: NDArray[np.int64]
    log_prob: float
    finish_reason: Literal["stop", "length"]
    seed: int
    row: int


class SampleOptions(TypedDict, total=False):
    """Options of `sample` and `sample_ids`. With none given, strings follow the model exactly.

    The filters work in this order: exclude, temperature, top_k, top_p, min_p.
    """

    temperature: float  # 1.0; lower is safer, 0 takes the likeliest token each time
    top_k: int  # 0; keep the k likeliest tokens, 0 keeps all
    top_p: float  # 1.0; keep the smallest set of tokens whose mass is at least p
    min_p: float  # 0.0; keep tokens at least min_p times as likely as the likeliest
    prefix: str  # ""; what every string begins with: characters, or whole words
    exclude: str  # ""; characters or words that are never made
    max_length: int | None  # None: the artifact's; most tokens of a string
    seed: int | None  # None: fresh entropy
    first_row: int  # 0; number of the first string: (seed, row) names a string for good
    batch_size: int | None  # None: the sampler's; rows decoded together, which changes speed only


class Sampler:
    """Samples from a model and scores strings; `makemore.load` returns one.

    Several threads may use it at once: no two calls share a step. The logits of common prefixes are
    kept for the next calls in at most `cache_bytes` of memory, however many threads call; that
    changes the speed only. A running call needs memory of its own beside the cache: its strings,
    and a few megabytes. `clear_cache` and `close` free the cache, and so does leaving a `with`
    block.
    """

    batch_size = BATCH_SIZE
    """Rows decoded together where `sample` is not told."""

    _strategy: Literal["auto", "tree", "cached"] = "auto"
    """How rows share work; changes speed only. Tests compare all of them."""

    def __init__(
        self,
        artifact: Artifact,
        new_step: Callable[[], Step],
        *,
        device: str = "cpu",
        threads: int = 1,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """A sampler over any step.

        new_step: makes a step; a call uses up to `threads` of them at a time.
        cache_bytes: memory for the logits of common prefixes, for all calls together; 0: none is
          kept. Steps that are written in Python have no cache.
        """
        if threads < 1:
            raise OptionError(f"threads is {threads}; it must be >= 1")
        if not 0 <= cache_bytes < 2**63:
            raise OptionError(f"cache_bytes is {cache_bytes}; it must be >= 0 and < 2**63")
        self.artifact = artifact
        self.vocabulary = artifact.vocabulary
        self.new_step = new_step
        self.device = device
        self.threads = threads
        self.cache_bytes = cache_bytes
        self._closed = False
        self._make_cache()

    def _make_cache(self) -> None:
        self._budget = _core.CacheBudget(self.cache_bytes)
        # Workers with a cache, and when it was used last. A call takes the last one.
        self._idle: deque[tuple[float, _core.Worker]] = deque()

    def __copy__(self) -> Self:
        """Another sampler over the same model, with an empty cache."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._make_cache()
        return other

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def clear_cache(self) -> None:
        """Frees the memory of the cache; calls that are running free theirs when they end."""
        self._make_cache()

    def close(self) -> None:
        """Frees the cache and the model. Calls that are running end as usual; later ones raise
        `OptionError`.
        """
        self._closed = True
        self.new_step = _no_step
        self.clear_cache()

    def sample(
        self,
        n: int,
        *,
        cancellation: CancellationToken | None = None,
        **options: Unpack[SampleOptions],
    ) -> list[str]:
        """Makes n strings; see `SampleOptions`. A string depends on artifact, options, seed and
        row alone: neither batch size nor threads change it.

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
        ids, offsets, *_ = self._sample(n, **options, cancellation=cancellation)
        return self.vocabulary.decode(ids, offsets)

    def sample_ids(
        self,
        n: int,
        *,
        cancellation: CancellationToken | None = None,
        **options: Unpack[SampleOptions],
    ) -> list[Sample]:
        """Makes the strings that `sample` makes, each with its ids, log-probability, finish reason,
        seed and row.
        """
        ids, offsets, log_probs, stopped, seed = self._sample(
            n, **options, cancellation=cancellation, log_probs=True
        )
        first_row = options.get("first_row", 0)
        wide = ids.astype(np.int64)
        return [
            Sample(
                text=text,
                ids=wide[offsets[i] : offsets[i + 1]],
                log_prob=float(log_probs[i]),
                finish_reason="stop" if stopped[i] else "length",
                seed=seed,
                row=first_row + i,
            )
            for i, text in enumerate(self.vocabulary.decode(ids, offsets))
        ]

    def score(
        self,
        strings: Sequence[str],
        *,
        batch_size: int | None = None,
        cancellation: CancellationToken | None = None,
    ) -> NDArray[np.float64]:
        """Natural-log probability of each whole string, its stop included: (n,) float64.

        A word that the model does not know counts with the probability of an unknown one. Raises
        `OptionError` for a character the model never saw or a string longer than its block.
        """
        if isinstance(strings, str):
            raise TypeError("score takes a list of strings, not one string")
        if batch_size is None:
            batch_size = BATCH_SIZE
        _require_int64(batch_size=batch_size)
        tokens: list[int] = []
        offsets = [0]
        for string in strings:
            ids = self.vocabulary.encode(string)
            self._check_length(len(ids), f"{string!r} has")
            tokens += [*ids, STOP]
            offsets.append(len(tokens))
        *_, log_probs, _ = self._decode(
            len(strings),
            prompts=np.array(tokens, dtype=np.int64),
            offsets=np.array(offsets, dtype=np.int64),
            max_length=max(map(sub, offsets[1:], offsets), default=1),
            batch_size=batch_size,
            cancellation=cancellation,
        )
        return log_probs

    def _sample(
        self,
        n: int,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        prefix: str = "",
        exclude: str = "",
        max_length: int | None = None,
        seed: int | None = None,
        first_row: int = 0,
        batch_size: int | None = None,
        cancellation: CancellationToken | None = None,
        log_probs: bool = False,
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8], int]:
        """Token ids (total,), offsets (n + 1,), log-probabilities (n,), stopped (n,), seed."""
        if max_length is None:
            max_length = self.artifact.max_length
        if batch_size is None:
            batch_size = self.batch_size
        _require_int64(n=n, top_k=top_k, max_length=max_length, batch_size=batch_size)
        self._check_length(max_length, "max_length is")
        prompt = self.vocabulary.prompt(prefix)
        if len(prompt) > max_length:
            raise OptionError(
                f"prefix {prefix!r} has {len(prompt)} {self.artifact.level}s; "
                f"max_length is {max_length}"
            )
        if seed is None:
            seed = secrets.randbits(63)
        for name, value in (("seed", seed), ("first_row", first_row)):
            if not 0 <= value < 2**64:
                raise OptionError(f"{name} is {value}; it must be >= 0 and < 2**64")
        if first_row + n > 2**64:
            raise OptionError(f"first_row is {first_row}; with {n} rows it passes 2**64")
        ids, offsets, nats, stopped = self._decode(
            n,
            prompts=np.array(prompt, dtype=np.int64),
            offsets=_ONE_PROMPT,
            first_row=first_row,
            max_length=max_length,
            options=_core.SamplingOptions(
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                min_p=min_p,
                mask=self.vocabulary.mask(exclude),
            ),
            seed=seed,
            batch_size=batch_size,
            cancellation=cancellation,
            log_probs=log_probs,
        )
        return ids, offsets, nats, stopped, seed

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
        count = max(1, min(self.threads, rows // ROWS_PER_THREAD))
        idle = self._idle  # clear_cache replaces it, and so drops the workers of this call
        workers = [self._worker(idle) for _ in range(count)]
        decoded = _core.decode(workers, rows=rows, strategy=self._strategy, **request)
        # The workers of a call that failed are dropped.
        now = time.monotonic()
        for worker in workers:
            if worker.cache_bytes:
                idle.append((now, worker))
        if len(idle) > count:
            _drop_unused(idle, now - IDLE_SECONDS)
        return decoded

    def _worker(self, idle: deque[tuple[float, _core.Worker]]) -> _core.Worker:
        """An idle worker, whose cache knows earlier calls, or a new one."""
        try:
            return idle.pop()[1]
        except IndexError:
            step = self.new_step()
        if step.vocab_size != len(self.vocabulary):
            raise StepError(
                f"a step has {step.vocab_size} logits; the vocabulary has {len(self.vocabulary)}"
            )
        if isinstance(step, _core.SnapshotStep):
            return _core.Worker(step, self._budget)
        return _core.Worker(step if isinstance(step, _core.Step) else _core.PythonStep(step))


def _drop_unused(idle: deque[tuple[float, _core.Worker]], before: float) -> None:
    with contextlib.suppress(IndexError):  # another thread may take the last one
        while idle[0][0] < before:
            idle.popleft()


def _no_step() -> Step:
    raise OptionError("this sampler is closed")


def _require_int64(**options: int) -> None:
    """Refuses what the C++ core cannot count."""
    for name, value in options.items():
        if not -(2**63) <= value < 2**63:
            raise OptionError(f"{name} is {value}; it must fit in 64 bits")
