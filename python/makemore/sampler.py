"""The sampler: strings from a model, as many as are asked for and as they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from makemore._core import CancellationToken
from makemore.calls import (
    CompleteCall,
    MostLikelyCall,
    NextTokensCall,
    RowsCall,
    SampleCall,
    StreamCall,
    takes,
)
from makemore.cancellation import until_cancelled
from makemore.engine import Engine
from makemore.fingerprints import Fingerprints
from makemore.limits import Limit
from makemore.options import FilterOptions, SearchOptions
from makemore.sample import Sample, SampleColumns
from makemore.scorer import Scorer
from makemore.search.most_likely import BestFirstSearch, MostLikely
from makemore.search.next_tokens import NextTokens
from makemore.search.plan import Plan, PlanCache
from makemore.search.prepared import PreparedRequest
from makemore.search.row_search import RowSearch, require_row_numbers, seed_of
from makemore.search.stream import AsyncSampleStream, SampleStream
from makemore.search.string_filter import TextFilter, text_filter

STREAM_CHUNK = 65_536
"""Strings that a stream makes at a time at most."""

_PREFIX = Limit(str, "a string")


class NextToken(NamedTuple):
    """A token that may follow: its id, its text, "" for the stop, and its probability."""

    id: int
    text: str
    probability: float


class Sampler(Scorer):
    """Samples from a model and scores strings; `makemore.load` returns one.

    Several threads may use it at once: no two calls share a step. What calls have in common is kept
    in `cache_bytes` of memory, and at most a quarter more, however many threads call; that changes
    the speed only: the logits after prefixes that came up in earlier calls, which `clear_cache`
    frees, and those after the prefixes that most strings begin with, more of them as more strings
    are made. `close` frees all, and so does leaving a `with` block. A running call needs memory of
    its own beside: its strings, and a few megabytes.
    """

    def _begin(self) -> None:
        super()._begin()
        self._plans = PlanCache()
        self.fingerprints: Callable[[], Fingerprints | None] = _no_fingerprints

    def close(self) -> None:
        """Frees the cache and the model. Calls that are running end as usual; later ones raise
        `OptionError`.
        """
        super().close()
        self._plans = PlanCache()
        self.fingerprints = _no_fingerprints

    @takes(SampleCall)
    def sample(self, call: SampleCall) -> list[str]:
        """Makes n strings: the first n of the seed's rows that pass. A row's string depends on
        artifact, options, seed and row alone: neither batch size nor threads change it.

        cancellation: ends the call from another thread, before its next step. Threads cannot be
          interrupted, so that a program with asyncio needs it to stop waiting:

              token = makemore.CancellationToken()
              call = asyncio.to_thread(sampler.sample, 1_000_000, cancellation=token)
              try:
                  names = await asyncio.wait_for(call, timeout=1)
              finally:
                  token.cancel()  # nothing happens where the call has ended

          With a thread pool: `pool.submit(sampler.sample, n, cancellation=token)`.

        Raises `OptionError` for an option outside its range, a character or word that the model
        does not know, or a pattern that no string matches; `ExhaustedError`, which holds the
        strings found, where fewer than n pass in as many rows as are tried; `CancelledError`.
        """
        return self._search(call, call.seed, call.first_row, call.cancellation).texts(call.n)

    @takes(SampleCall)
    def sample_ids(self, call: SampleCall) -> list[Sample]:
        """Makes the strings that `sample` makes, each with its ids, log-probability, finish reason,
        seed and row. To go on after them, take the last one's row + 1 as `first_row`.
        """
        search = self._search(call, call.seed, call.first_row, call.cancellation, log_probs=True)
        return search.samples(call.n)

    @takes(SearchOptions)
    def prepare(self, options: SearchOptions) -> PreparedRequest:
        """Makes ready what is asked for again and again, say for each request to a server:

            short = sampler.prepare(prefix="ma", max_length=5)
            short.sample(3, seed=1)  # as sampler.sample(3, seed=1, prefix="ma", max_length=5)

        Raises `OptionError` as `sample` does.
        """
        search = partial(RowSearch, *self._made_ready(options))
        return PreparedRequest(self.prepare, options, search)

    @takes(RowsCall)
    def sample_rows(self, call: RowsCall) -> list[Sample]:
        """The strings of the rows from `first_row` to `first_row + rows - 1` that pass.

        However rows are divided among calls, processes and machines, the results put together are
        the same.
        """
        return self._search_rows(call).decode_rows(call.rows).samples(call.seed)

    @takes(RowsCall)
    def sample_columns(self, call: RowsCall) -> SampleColumns:
        """What `sample_rows` gives as arrays, for tables of millions of strings."""
        decoded = self._search_rows(call).decode_ids(call.rows)
        rows = decoded.rows.astype(np.uint64) + np.uint64(call.first_row)
        utf8, offsets = self.vocabulary.utf8(decoded.ids, decoded.offsets)
        return SampleColumns(utf8, offsets, decoded.log_probs, rows)

    @takes(StreamCall)
    def stream(self, call: StreamCall) -> SampleStream[str]:
        """An iterator over the strings that `sample` would make, in the same order, without end if
        n is None. It holds a chunk of them at a time, and works only when the next is asked for.
        """
        cancellation = CancellationToken()
        search = self._search(call, call.seed, call.first_row, cancellation)
        chunks = search.chunks(call.n, STREAM_CHUNK)
        return SampleStream(chunks, lambda chunk: chunk.texts, cancellation)

    @takes(StreamCall)
    def stream_ids(self, call: StreamCall) -> SampleStream[Sample]:
        """The same of what `sample_ids` would make."""
        cancellation = CancellationToken()
        search = self._search(call, call.seed, call.first_row, cancellation, log_probs=True)
        chunks = search.chunks(call.n, STREAM_CHUNK)
        return SampleStream(chunks, lambda chunk: chunk.samples(search.seed), cancellation)

    @takes(StreamCall)
    def astream(self, call: StreamCall) -> AsyncSampleStream[str]:
        """The same as `stream` for asyncio: `async for name in sampler.astream(100): ...`."""
        return AsyncSampleStream(self.stream(call.n, **call))

    @takes(CompleteCall)
    def complete(self, call: CompleteCall) -> list[list[str]]:
        """N strings for each prefix, each of which it begins with, in one call.

        String j of prefix i is row first_row + i * n + j. Nothing is filtered: where a prefix is
        empty, so may a string be.
        """
        max_length = self.max_length_of(call)
        prompts = [
            self.prompt_of(_PREFIX.parse(f"prefix number {i}", prefix), call)
            for i, prefix in enumerate(until_cancelled(call.prefixes, call.cancellation), 1)
        ]
        require_row_numbers(call.first_row, len(prompts) * call.n)
        request = self.request(
            [
                prompt
                for prompt in until_cancelled(prompts, call.cancellation)
                for _ in range(call.n)
            ],
            max_length=max_length,
            **self.draw(call),
        )
        texts, _ = self.decode_texts(
            request, len(prompts) * call.n, call.first_row, seed_of(call.seed), call.cancellation
        )
        ends = range(0, len(texts) + 1, call.n) if call.n else [0] * (len(prompts) + 1)
        return [texts[begin:end] for begin, end in pairwise(ends)]

    @takes(MostLikelyCall)
    def most_likely(self, call: MostLikelyCall) -> MostLikely:
        """The k strings with the highest probabilities of all that pass, exactly, and these.

        Ties are in the order of their ids. `OptionError` where too many prefixes are as likely as
        the last string, or a model with labels is not given one.
        """
        self.require_label(call.label, "most_likely")
        next_tokens = NextTokens(self, self._plans.get(self, call), call.cancellation)
        texts = text_filter(call, self.fingerprints)
        return BestFirstSearch(next_tokens, texts, call.k).run()

    @takes(NextTokensCall)
    def next_tokens(self, call: NextTokensCall) -> list[NextToken]:
        """The tokens that may follow a prefix, the likeliest first; the stop has no text.

        Of a model with labels they are the labels, where none is given.
        """
        prompt = self.prompt_of(call.prefix, call)
        (probabilities,) = self.distributions([prompt], self.draw(call))
        texts = self.vocabulary.texts()
        texts[self.vocabulary.first_label :] = self.vocabulary.labels
        order = np.argsort(-probabilities, kind="stable")
        return [
            NextToken(int(token), texts[token] or "", float(probabilities[token]))
            for token in order[probabilities[order] > 0]
        ]

    def _search_rows(self, call: RowsCall) -> RowSearch:
        options = SearchOptions(**{each.name: call[each.name] for each in fields(FilterOptions)})
        return self._search(options, call.seed, call.first_row, call.cancellation, log_probs=True)

    def _search(
        self,
        options: SearchOptions,
        seed: int | None,
        first_row: int,
        cancellation: CancellationToken | None,
        *,
        log_probs: bool = False,
    ) -> RowSearch:
        return RowSearch(
            *self._made_ready(options), seed, first_row, cancellation, log_probs=log_probs
        )

    def _made_ready(
        self, options: SearchOptions
    ) -> tuple[Engine, SearchOptions, Plan, TextFilter | None]:
        plan = self._plans.get(self, options)
        return self, options, plan, text_filter(options, self.fingerprints)


def _no_fingerprints() -> None:
    """Of a model whose training lines are not known."""
