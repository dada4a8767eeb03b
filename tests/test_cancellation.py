"""Calls that are ended from another thread."""

import asyncio
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import makemore
import pytest
import tiny_models
from makemore import CancellationToken, CancelledError
from makemore.runtime.device_sampler import DeviceSampler
from makemore.runtime.onnxruntime_library import open_library
from python_step import sampler_of
from tiny_artifacts import FOLDER

ENDLESS = {"temperature": 0, "max_length": 2**40}
"""At temperature 0 the bigram repeats "a" for ever."""


def on_device():
    file = FOLDER / "bigram" / "model.onnx"
    model = makemore._core.OnnxModel(open_library(), file, keep_file=True)
    artifact = makemore.load(FOLDER / "bigram").artifact
    return DeviceSampler(artifact, makemore._core.DeviceModel(model, []), device="cpu")


SAMPLERS = {
    "one thread": lambda: makemore.load(FOLDER / "bigram", threads=1),
    "two threads": lambda: makemore.load(FOLDER / "bigram", threads=2),
    "a step in Python": lambda: sampler_of(tiny_models.BIGRAM),
    "a device": on_device,
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("n", [1, 1000])
def test_a_token_ends_an_endless_call_of_another_thread(name, n):
    sampler = SAMPLERS[name]()
    token = CancellationToken()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(sampler.sample, n, **ENDLESS, seed=1, cancellation=token)
        time.sleep(0.1)  # so that it is in the middle of the loop
        assert not call.done()
        token.cancel()
        with pytest.raises(CancelledError, match="the call was cancelled"):
            call.result(timeout=60)
    assert sampler.sample(3, seed=1) == SAMPLERS["one thread"]().sample(3, seed=1)


def test_a_token_ends_a_call_whose_cache_knows_all_that_follows(bigram):
    """No step comes between its tokens, of which there are 200 million."""
    options = {"temperature": 0, "seed": 1, "max_length": 100_000}
    bigram.sample(1, **options)
    token = CancellationToken()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(bigram.sample, 2_048, **options, cancellation=token)
        time.sleep(0.1)
        token.cancel()
        with pytest.raises(CancelledError):
            call.result(timeout=60)


class Cancelling:
    """Strings without end, which cancel a token on their way."""

    def __init__(self):
        self.token = CancellationToken()

    def __len__(self):
        return 1 << 40

    def __contains__(self, _):
        return True

    def __iter__(self):
        for i in itertools.count():
            if i == 100:
                self.token.cancel()
            yield "a"


@pytest.mark.parametrize("method", ["score", "score_tokens", "perplexity", "rank", "complete"])
def test_a_token_ends_a_call_that_still_reads_its_strings(bigram, method):
    strings = Cancelling()
    with pytest.raises(CancelledError):
        getattr(bigram, method)(strings, cancellation=strings.token)


def test_a_token_stays_cancelled_and_ends_every_kind_of_call(bigram):
    token = CancellationToken()
    assert not token.cancelled
    assert bigram.sample(3, seed=1, cancellation=token) == bigram.sample(3, seed=1)
    token.cancel()
    token.cancel()
    assert token.cancelled
    for call in (
        lambda: bigram.sample(1, cancellation=token),
        lambda: bigram.sample_ids(1, cancellation=token),
        lambda: bigram.score(["a"], cancellation=token),
    ):
        with pytest.raises(CancelledError):
            call()


def test_one_token_ends_all_calls_that_have_it():
    sampler = makemore.load(FOLDER / "bigram", threads=1)
    token = CancellationToken()
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(sampler.sample, 1, **ENDLESS, cancellation=token) for _ in range(4)]
        other = pool.submit(sampler.sample, 5, seed=1)
        token.cancel()
        for call in calls:
            with pytest.raises(CancelledError):
                call.result(timeout=60)
        assert len(other.result(timeout=60)) == 5


def test_a_timeout_of_asyncio_ends_the_work():
    sampler = makemore.load(FOLDER / "bigram", threads=1)

    async def sample_for(seconds):
        token = CancellationToken()
        call = asyncio.to_thread(sampler.sample, 1, **ENDLESS, cancellation=token)
        try:
            return await asyncio.wait_for(call, seconds)
        finally:
            token.cancel()

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(sample_for(0.1))  # it waits for the thread to end
    assert threading.active_count() < 10


def test_what_is_no_token_is_refused(bigram):
    with pytest.raises(TypeError):
        bigram.sample(1, cancellation=True)
