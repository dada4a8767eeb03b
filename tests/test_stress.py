"""One process, many threads and all calls at once: the results are those of one call at a time."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import makemore
import pytest
from makemore import OptionError, Sampler
from tiny_artifacts import FOLDER

THREADS, CALLS = 16, 150


def sample(sampler: Sampler, seed: int) -> Any:
    return sampler.sample(40, min_length=0, seed=seed)


def sample_with_options(sampler: Sampler, seed: int) -> Any:
    return sampler.sample(
        30, seed=seed, temperature=0.7, top_k=3, top_p=0.9, prefix="a", first_row=seed, batch_size=7
    )


def sample_on_threads(sampler: Sampler, seed: int) -> Any:
    return sampler.sample(300, min_length=0, seed=seed, exclude="b")


def sample_ids(sampler: Sampler, seed: int) -> Any:
    samples = sampler.sample_ids(20, min_length=0, seed=seed)
    return [(one.text, one.ids.tolist(), one.log_prob, one.finish_reason) for one in samples]


def score(sampler: Sampler, seed: int) -> Any:
    return sampler.score(["", "a", "abc"[: 1 + seed % 3], "cc"], batch_size=1 + seed % 5).tolist()


def bad_option(sampler: Sampler, seed: int) -> Any:
    with pytest.raises(OptionError):
        sampler.sample(3, min_length=0, top_p=1.5, seed=seed)
    return "refused"


def of_a_copy(sampler: Sampler, seed: int) -> Any:
    return copy.copy(sampler).sample(10, min_length=0, seed=seed)


def of_a_step(sampler: Sampler, seed: int) -> Any:
    step = sampler.new_step()
    step.reset(1 + seed % 4)
    zeros = [0] * (1 + seed % 4)
    return step.run(zeros, zeros).tolist()


def of_a_fresh_load(sampler: Sampler, seed: int) -> Any:
    folder = FOLDER / ("bigram", "cache", "fused", "history")[seed % 4]
    return makemore.load(folder, threads=1).sample(5, min_length=0, seed=seed)


USES: tuple[Callable[[Sampler, int], Any], ...] = (
    sample,
    sample_with_options,
    sample_on_threads,
    sample_ids,
    score,
    bad_option,
    of_a_copy,
    of_a_step,
    of_a_fresh_load,
)


@pytest.mark.parametrize("name", ["cache", "fused"])
def test_sixteen_threads_of_mixed_calls_get_what_one_gets(name):
    folder: Path = FOLDER / name
    calls = [(use, seed) for use in USES for seed in range(8)]
    expected = {call: call[0](makemore.load(folder, threads=2), call[1]) for call in calls}
    shared = makemore.load(folder, threads=2)
    barrier = Barrier(THREADS)

    def caller(number: int) -> list[Any]:
        mine = random.Random(number).choices(calls, k=CALLS)
        barrier.wait()
        return [(call, call[0](shared, call[1])) for call in mine]

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(caller, range(THREADS)))
    for result in results:
        for call, got in result:
            assert got == expected[call], call
