"""A request that is made ready once, for calls again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from makemore._core import CancellationToken
from makemore.limits import CANCELLATION, COUNT, FIRST_ROW, SEED
from makemore.options import SearchOptions
from makemore.sample import Sample
from makemore.search.row_search import RowSearch


class PreparedRequest:
    """What a sampler is asked for again and again; `Sampler.prepare` returns it.

    Its calls are those of the sampler with the options that it was made with, in less time: these
    were checked, and patterns compiled, once. Several threads may use it at once. `OptionError`
    where the sampler is closed. A pickle has the sampler and the options.
    """

    def __init__(
        self,
        prepare: Callable[..., PreparedRequest],
        options: SearchOptions,
        search: Callable[..., RowSearch],
    ) -> None:
        """prepare: makes another one of options. search: begins one, for the rows of a seed."""
        self._prepare = prepare
        self._options = options
        self._search = search

    def __reduce__(self) -> tuple[Callable[[], PreparedRequest], tuple[()]]:
        return partial(self._prepare, **self._options), ()

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        first_row: int = 0,
        cancellation: CancellationToken | None = None,
    ) -> list[str]:
        """What `Sampler.sample` makes of these and the options."""
        search = self._begin(seed, first_row, cancellation, log_probs=False)
        return search.texts(COUNT.parse("n", n))

    def sample_ids(
        self,
        n: int,
        *,
        seed: int | None = None,
        first_row: int = 0,
        cancellation: CancellationToken | None = None,
    ) -> list[Sample]:
        """What `Sampler.sample_ids` makes of these and the options."""
        search = self._begin(seed, first_row, cancellation, log_probs=True)
        return search.samples(COUNT.parse("n", n))

    def _begin(
        self,
        seed: int | None,
        first_row: int,
        cancellation: CancellationToken | None,
        *,
        log_probs: bool,
    ) -> RowSearch:
        if seed is not None:
            seed = SEED.parse("seed", seed)
        if cancellation is not None:
            cancellation = CANCELLATION.parse("cancellation", cancellation)
        first_row = FIRST_ROW.parse("first_row", first_row)
        return self._search(seed, first_row, cancellation, log_probs=log_probs)
