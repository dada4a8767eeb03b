"""Several threads, exceptions and Ctrl-C."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import makemore
import numpy as np
import pytest
import tiny_models
from makemore import ArtifactError, Sampler
from python_step import LogitsStep
from tiny_artifacts import FOLDER, load_tiny, metadata


class BrokenError(Exception):
    pass


def broken_sampler(threads, broken_step):
    """When all steps decode, number `broken_step` fails. The first has looked ahead by then."""
    tiny = tiny_models.BIGRAM
    all_started = threading.Barrier(threads, timeout=60)
    made = []

    class Failing(LogitsStep):
        resets = 0

        def reset(self, rows):
            self.resets += 1
            number = made.index(self)
            if self.resets == (2 if number == 0 else 1):
                all_started.wait()
                if number == broken_step:
                    raise BrokenError(f"step {broken_step}")
            super().reset(rows)

    def new_step():
        made.append(Failing(tiny.logits, tiny.vocab_size))
        return made[-1]

    return Sampler(metadata(tiny.characters), new_step, threads=threads)


@pytest.mark.parametrize(("threads", "broken_step"), [(1, 0), (2, 0), (2, 1), (4, 2)])
def test_an_exception_in_a_python_step_reaches_the_caller(threads, broken_step):
    with pytest.raises(BrokenError, match=f"step {broken_step}"):
        broken_sampler(threads, broken_step).sample(400, seed=1, batch_size=5)


def test_steps_of_several_threads_run_at_the_same_time():
    # Each step waits for the others to start: one after the other, they would wait for ever.
    sampler = broken_sampler(threads=4, broken_step=None)
    alone = makemore.load(FOLDER / "bigram", threads=1)
    assert sampler.sample(400, seed=1, batch_size=5) == alone.sample(400, seed=1)


def test_a_step_that_gives_too_few_logits_is_refused():
    class Short(LogitsStep):
        def run(self, tokens, positions):
            return super().run(tokens, positions)[:, 1:]

    sampler = Sampler(metadata(tuple("abc")), lambda: Short(tiny_models.BIGRAM.logits, 4))
    with pytest.raises(ArtifactError, match="a step gave 3 logits, not 4"):
        sampler.sample(1)


@pytest.mark.parametrize("logit", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_the_fault_of_the_artifact(logit):
    sampler = Sampler(metadata(tuple("ab")), lambda: LogitsStep(lambda said: [0, 0, logit], 3))
    with pytest.raises(ArtifactError, match="the model's logits"):
        sampler.sample(1)


def test_threads_that_sample_at_once_from_one_sampler_do_not_disturb_each_other(tiny, strategy):
    sampler = load_tiny(tiny.name, strategy, threads=2)
    seeds = range(40)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda seed: sampler.sample(200, seed=seed), seeds))
    assert made == [sampler.sample(200, seed=seed) for seed in seeds]


# At temperature 0 the bigram says "a" for ever: only an interrupt ends this.
ENDLESS = """
import signal, threading
import makemore
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sampler = makemore.load({artifact!r}, threads=2)
{before}
try:
    sampler.sample({n}, temperature={temperature}, max_length=2**40, seed=1)
except KeyboardInterrupt:
    print("interrupted")
"""


def run_endless(before, *, n=1, temperature=0, interrupt=None):
    code = ENDLESS.format(
        artifact=str(FOLDER / "bigram"), before=before, n=n, temperature=temperature
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            if interrupt:
                assert process.stdout.readline() == "sampling\n"
                time.sleep(0.2)  # so that it is in the middle of the loop
                process.send_signal(interrupt)
            return process.communicate(timeout=60)[0]
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a child")
@pytest.mark.parametrize(("n", "temperature"), [(1, 0), (1000, 0), (3 * 10**6, 1)])
def test_ctrl_c_ends_an_endless_decode(n, temperature):
    before = "print('sampling', flush=True)"
    out = run_endless(before, n=n, temperature=temperature, interrupt=signal.SIGINT)
    assert out == "interrupted\n"


def test_other_python_threads_run_during_a_decode():
    # Held by the decode, the GIL would keep the timer from ever sending its interrupt.
    before = "threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()"
    assert run_endless(before) == "interrupted\n"
