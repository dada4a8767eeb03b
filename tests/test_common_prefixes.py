"""What follows the prefixes that most strings begin with: more of it as more strings are made."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import makemore
import pytest
from makemore import CancelledError, _core
from makemore.common_prefixes import (
    FIRST_COUNT,
    FIRST_MICROSECONDS,
    FIRST_SECONDS,
    MOST_PREFIXES,
    CommonPrefixes,
)
from makemore.runtime.onnxruntime_library import open_library
from tiny_artifacts import FOLDER

HISTORY = FOLDER / "history"
CACHE_BYTES = 64 << 20


class Recorded:
    """A step that writes down for how long it is asked to find more."""

    def __init__(self, step: _core.SnapshotStep, is_cheap: bool = False) -> None:
        self.step, self.is_cheap = step, is_cheap
        self.snapshot_bytes = step.snapshot_bytes
        self.common_prefix_bytes = step.common_prefix_bytes
        self.seconds: list[float] = []
        self.most: list[tuple[int, int]] = []

    def find_common_prefixes(self, count, states, max_length, max_microseconds, cancellation=None):
        self.most.append((count, states))
        self.seconds.append(max_microseconds / 1e6)
        return self.step.find_common_prefixes(
            count, states, max_length, max_microseconds, cancellation
        )


class Slow(Recorded):
    """A step that has not found all when its time is up."""

    def find_common_prefixes(self, count, states, max_length, max_microseconds, cancellation=None):
        self.seconds.append(max_microseconds / 1e6)
        end = time.thread_time() + max_microseconds / 1e6
        while time.thread_time() < end:
            pass
        return True


class Waiting(Slow):
    """A step that does not get the core for half of its time."""

    def find_common_prefixes(self, count, states, max_length, max_microseconds, cancellation=None):
        time.sleep(max_microseconds / 2e6)
        return super().find_common_prefixes(count, states, max_length, max_microseconds / 2)


class Endless(Recorded):
    """A step that finds more until it is cancelled."""

    def find_common_prefixes(self, count, states, max_length, max_microseconds, cancellation=None):
        self.seconds.append(max_microseconds / 1e6)
        while cancellation is not None and not cancellation.cancelled:
            time.sleep(0.001)
        if cancellation is not None:
            raise CancelledError("as a call of the core ends")
        return True


def recorded(kind=Recorded, cache_bytes=CACHE_BYTES, **options):
    """A sampler and the step that finds its common prefixes."""
    sampler = makemore.load(HISTORY, threads=1)
    step = kind(sampler.new_step(), **options)
    sampler.common_prefixes = CommonPrefixes(step, 30, cache_bytes)
    return sampler, step


def wait(common):
    """Until no thread finds more."""
    if common._thread is not None:
        common._thread.join()


def until(condition):
    """A thread may have begun and not yet asked for anything."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_to_find_them_takes_no_longer_than_the_calls_before():
    sampler, step = recorded(Slow)
    common = sampler.common_prefixes
    assert step.seconds == [FIRST_MICROSECONDS / 1e6]
    for seconds, expected in ((0.9, None), (0.2, 1.1), (1.0, None), (0.3, 1.3), (10.0, 10.0)):
        common.end_call(seconds * FIRST_SECONDS)
        wait(common)
        if expected is not None:
            assert step.seconds.pop() == pytest.approx(expected * FIRST_SECONDS, rel=0.05)
        assert len(step.seconds) == 1


def test_time_is_that_of_a_core_which_has_other_work_too():
    sampler, step = recorded(Waiting)
    sampler.common_prefixes.end_call(0.1)
    wait(sampler.common_prefixes)
    of_thread = step.seconds[1:]
    assert len(of_thread) > 2 and sum(of_thread) == pytest.approx(0.1, rel=0.1)


def test_calls_of_every_kind_pay_for_them():
    sampler, _ = recorded()
    calls = [
        lambda: sampler.sample(2),
        lambda: sampler.sample_ids(2),
        lambda: sampler.score(["abc"]),
        lambda: sampler.score_tokens(["abc"]),
        lambda: sampler.next_tokens("a"),
    ]
    for call in calls:
        before = sampler.common_prefixes._called
        call()
        assert sampler.common_prefixes._called > before


def test_no_thread_begins_once_all_are_found():
    sampler, step = recorded(cache_bytes=1 << 20)
    for _ in range(3):
        sampler.common_prefixes.end_call(60)
        wait(sampler.common_prefixes)
    assert step.seconds == pytest.approx([FIRST_MICROSECONDS / 1e6, 60])


def test_where_memory_is_short_there_are_more_of_them_than_states():
    sampler, step = recorded(cache_bytes=4 << 20)
    sampler.common_prefixes.end_call(60)
    wait(sampler.common_prefixes)
    first, (count, states) = step.most
    assert first == (FIRST_COUNT, FIRST_COUNT)
    assert FIRST_COUNT < states < count < MOST_PREFIXES
    taken = count * step.common_prefix_bytes + states * step.snapshot_bytes
    assert taken == sampler.common_prefixes.max_bytes <= 3 << 20 < taken + step.snapshot_bytes


@pytest.mark.parametrize("cache_bytes", [CACHE_BYTES, 1 << 20], ids=["all", "few"])
@pytest.mark.parametrize("artifact", ["history", "schema-1/transformer", "schema-2/words"])
def test_strings_are_the_same_with_more_of_them(artifact, cache_bytes):
    fresh, used = (
        makemore.load(FOLDER / artifact, threads=2, cache_bytes=cache_bytes) for _ in range(2)
    )
    fresh.common_prefixes = None
    used.common_prefixes.end_call(60)
    for seed in range(8):  # while a thread finds more
        made = used.sample(4096, min_length=0, seed=seed)
        assert made == fresh.sample(4096, min_length=0, seed=seed)
    wait(used.common_prefixes)
    assert used.common_prefixes._thread is not None
    for n in (1, 50, 3_000):
        options = {"min_length": 0, "seed": 99, "temperature": 0.8}
        assert used.sample(n, **options) == fresh.sample(n, **options)
    strings = [text for text in made[:200] if text]
    assert (used.score(strings) == fresh.score(strings)).all()


def test_cheap_steps_have_the_first_ones_alone():
    sampler, step = recorded(is_cheap=True)
    sampler.common_prefixes.end_call(4 * FIRST_SECONDS)
    assert len(step.seconds) == 1
    of_prefix = step.common_prefix_bytes + step.snapshot_bytes
    assert sampler.common_prefixes.max_bytes == FIRST_COUNT * of_prefix


@pytest.mark.parametrize(
    ("artifact", "is_cheap"),
    [("family/lstm", True), ("family/ngram", True), ("history", False), ("bigram", False)],
)
def test_a_step_is_cheap_where_kernels_multiply_little(artifact, is_cheap):
    assert makemore.load(FOLDER / artifact).new_step().is_cheap == is_cheap


def test_a_model_of_few_rows_a_step_has_them_too():
    model = _core.OnnxModel(open_library(), HISTORY / "model.onnx", max_bytes=5_000)
    assert model.max_rows < 64  # as many are computed together, where they may be
    step = _core.cpu_step(model, [None] * len(model.states))
    assert step.find_common_prefixes(500, 100, 7, 100)
    assert step.find_common_prefixes(500, 100, 7, 200)


def test_no_memory_no_prefixes():
    sampler = makemore.load(HISTORY, threads=1, cache_bytes=0)
    assert sampler.common_prefixes.max_bytes == 0
    sampler.common_prefixes.end_call(2 * FIRST_SECONDS)
    wait(sampler.common_prefixes)
    assert sampler.sample(5, seed=3) == makemore.load(HISTORY).sample(5, seed=3)


def test_the_memory_is_shared_out():
    sampler = makemore.load(FOLDER / "schema-1" / "transformer", cache_bytes=32 << 20)
    of_model = sampler.common_prefixes.max_bytes
    assert 0.99 * (24 << 20) < of_model <= 24 << 20
    assert sampler.cache_bytes + of_model == 32 << 20


def test_samplers_of_a_model_share_them_and_the_last_one_ends_the_thread():
    sampler, _ = recorded(Endless)
    other = sampler.__copy__()
    sampler.common_prefixes.end_call(2 * FIRST_SECONDS)
    thread = sampler.common_prefixes._thread
    assert other.common_prefixes is sampler.common_prefixes
    sampler.close()
    assert thread.is_alive()
    other.close()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_only_one_thread_finds_more():
    sampler, step = recorded(Endless)
    sampler.common_prefixes.end_call(2 * FIRST_SECONDS)
    until(lambda: len(step.seconds) == 2)
    sampler.common_prefixes.end_call(8 * FIRST_SECONDS)
    thread = sampler.common_prefixes._thread
    with sampler.common_prefixes.lock:
        sampler.common_prefixes.stop()
    assert not thread.is_alive() and len(step.seconds) == 2
    sampler.sample(1, min_length=0)
    until(lambda: len(step.seconds) == 3)


PROGRAM = """
    import atexit, os, sys
    atexit.register(lambda: print(len(sampler.sample(3))))  # after what makemore does at the end
    sys.path.insert(0, tests)
    from test_common_prefixes import Endless, FIRST_SECONDS, recorded, until
    sampler, step = recorded(Endless)
    sampler.common_prefixes.end_call(2 * FIRST_SECONDS)
    assert sampler.common_prefixes._thread.is_alive()
    until(lambda: len(step.seconds) == 2)
"""


def run(code):
    program = f"tests = {str(Path(__file__).parent)!r}\n" + textwrap.dedent(PROGRAM + code)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_end_of_the_process_ends_the_thread_and_strings_are_still_made():
    ended = run("    print(len(step.seconds))")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "2\n3\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_ends_the_thread_and_parent_and_child_go_on():
    ended = run("""
    child = os.fork()
    assert sampler.common_prefixes._thread is None
    sampler.sample(1, min_length=0)
    assert sampler.common_prefixes._thread.is_alive()
    until(lambda: len(step.seconds) == 3)
    if child:
        print(os.waitpid(child, 0)[1])
    """)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3\n0\n3\n", "")
