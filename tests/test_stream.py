"""Streams: the strings of `sample`, made as they are taken, and no more once nobody takes them."""

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from makemore import CancelledError, OptionError, Sampler
from python_step import LogitsStep, sampler_of
from tiny_artifacts import metadata
from tiny_models import HISTORY


class Counting(LogitsStep):
    """Counts its runs; `started` is set at the first one, which then waits for `go`."""

    runs = 0
    started = threading.Event()
    go = threading.Event()

    def run(self, tokens, positions):
        type(self).runs += 1
        return super().run(tokens, positions)


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setattr(Counting, "runs", 0)
    return Sampler(metadata(HISTORY.characters), lambda: Counting(HISTORY.logits, 4))


def test_a_stream_gives_the_strings_of_sample(sampler):
    options = {"seed": 3, "wildcard": "*a*"}
    assert [*sampler.stream(200, **options)] == sampler.sample(200, **options)
    assert [*sampler.stream_ids(200, **options)] == sampler.sample_ids(200, **options)
    endless = sampler.stream(**options)
    assert [next(endless) for _ in range(200)] == sampler.sample(200, **options)
    assert [*sampler.stream(0)] == []


def test_a_chunk_is_all_that_is_ready(sampler):
    stream = sampler.stream(100, seed=3)
    first, chunks = next(stream), []
    while chunk := stream.chunk():
        chunks.append(chunk)
    assert [first, *(text for chunk in chunks for text in chunk)] == sampler.sample(100, seed=3)
    assert len(chunks) > 3


def test_the_first_string_takes_the_steps_of_one_string(counted):
    next(iter(counted.stream(seed=1)))
    of_a_stream, Counting.runs = Counting.runs, 0
    counted.sample(1, seed=1)
    assert of_a_stream == Counting.runs


def test_a_stream_that_is_dropped_or_closed_works_no_more(counted):
    stream = counted.stream(seed=1)
    assert len([next(stream) for _ in range(10)]) == 10
    runs = Counting.runs
    del stream
    gc.collect()
    assert Counting.runs == runs
    with counted.stream(seed=1) as stream:
        next(stream)
    assert [*stream] == []
    assert stream.chunk() == []


def test_a_stream_that_is_closed_from_another_thread_ends_before_its_next_step():
    started, go = threading.Event(), threading.Event()

    class Waiting(LogitsStep):
        def run(self, tokens, positions):
            started.set()
            go.wait(10)
            return super().run(tokens, positions)

    stream = Sampler(metadata(HISTORY.characters), lambda: Waiting(HISTORY.logits, 4)).stream()
    errors = []

    def read():
        try:
            next(stream)
        except CancelledError as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(10)
    stream.close()
    go.set()
    reader.join(10)
    assert len(errors) == 1


def test_threads_that_share_a_stream_take_each_string_once(sampler):
    stream = sampler.stream(2000, seed=3)
    with ThreadPoolExecutor(4) as pool:
        taken = [*pool.map(lambda _: [*stream], range(4))]
    assert sorted(text for some in taken for text in some) == sorted(sampler.sample(2000, seed=3))


def test_asyncio_reads_the_same_strings():
    sampler = sampler_of(HISTORY)

    async def read():
        async with sampler.astream(50, seed=1) as stream:
            return [text async for text in stream]

    assert asyncio.run(read()) == sampler.sample(50, seed=1)


def test_work_is_held_back_by_a_slow_reader_and_ends_when_its_task_is_cancelled(counted):
    async def read():
        stream = counted.astream(seed=1)
        await anext(stream)
        runs = Counting.runs
        await asyncio.sleep(0.05)
        assert Counting.runs == runs
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stream.aclose()
        return [text async for text in stream]

    assert asyncio.run(read()) == []


def test_what_cannot_be_is_refused_when_the_stream_is_made(bigram):
    with pytest.raises(OptionError, match="n is -1"):
        bigram.stream(-1)
