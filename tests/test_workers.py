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
from makemore import ArtifactError, OptionError, Sampler, StepError, _core
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
        broken_sampler(threads, broken_step).sample(400, min_length=0, seed=1, batch_size=5)


def test_steps_of_several_threads_run_at_the_same_time():
    # Each step waits for the others to start: one after the other, they would wait for ever.
    sampler = broken_sampler(threads=4, broken_step=None)
    alone = makemore.load(FOLDER / "bigram", threads=1)
    assert sampler.sample(400, min_length=0, seed=1, batch_size=5) == alone.sample(
        400, min_length=0, seed=1
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda logits: logits[:, 1:], r"logits of shape \(1, 3\), not \(1, 4\)"),
        (lambda logits: logits[0], r"logits of shape \(4,\), not \(1, 4\)"),
        (lambda logits: np.repeat(logits, 2, axis=0), r"logits of shape \(2, 4\), not \(1, 4\)"),
        (lambda logits: None, r"logits of shape \(\), not"),
        (lambda logits: "logits", "returned <class 'str'>, not logits"),
        (lambda logits: [["a", "b", "c", "d"]], "returned <class 'list'>, not logits"),
    ],
)
def test_a_step_that_returns_no_logits_of_its_rows_is_refused(change, message):
    class Wrong(LogitsStep):
        def run(self, tokens, positions):
            return change(super().run(tokens, positions))

    sampler = Sampler(metadata(tuple("abc")), lambda: Wrong(tiny_models.BIGRAM.logits, 4))
    with pytest.raises(StepError, match=message):
        sampler.sample(1)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64])
def test_a_step_may_return_logits_of_any_type_of_number(dtype):
    class Other(LogitsStep):
        def run(self, tokens, positions):
            return super().run(tokens, positions).astype(dtype).tolist()

    logits = [0, 1, 2, 3]
    made = [
        Sampler(metadata(tuple("abc")), lambda kind=kind: kind(lambda ids: logits, 4)).sample(
            20, seed=1
        )
        for kind in (LogitsStep, Other)
    ]
    assert made[0] == made[1]


@pytest.mark.parametrize("size", [0, -1, 4.0, "4", None])
def test_a_step_with_a_bad_vocabulary_is_refused(size):
    with pytest.raises(StepError, match=f"vocab_size of a step is {size!r}; it must be an int >="):
        _core.PythonStep(LogitsStep(tiny_models.BIGRAM.logits, size))


def test_a_step_whose_vocabulary_is_not_that_of_the_artifact_is_refused():
    sampler = Sampler(metadata(tuple("abcd")), lambda: LogitsStep(tiny_models.BIGRAM.logits, 4))
    with pytest.raises(StepError, match="a step has 4 logits; the vocabulary has 5") as error:
        sampler.sample(1)
    assert error.value.__context__ is None  # no error of ours that it is shown after


def test_a_step_that_is_in_use_is_refused():
    class Calling(LogitsStep):
        def run(self, tokens, positions):
            for call in calls:
                with pytest.raises(OptionError, match="a step is in use by another call"):
                    call()
            return super().run(tokens, positions)

    step = _core.PythonStep(Calling(tiny_models.BIGRAM.logits, 4))
    pool = _core.WorkerPool(4, 0)
    request = _core.Request(prompts=[], offsets=[], max_length=3, batch_size=1)
    calls = [
        lambda: step.reset(1),
        lambda: step.run([0], [0]),
        lambda: step.select([0]),
        lambda: _core.decode(pool, lambda: step, 1, request, 3),
    ]
    assert len(_core.decode(pool, lambda: step, 1, request, 3).offsets) == 4
    with pytest.raises(OptionError, match="in use"):
        _core.decode(pool, lambda: step, 2, request, 3)
    step.reset(1)


def test_more_strings_than_a_call_may_hold_are_refused_at_once(bigram):
    with pytest.raises(OptionError, match="n is 10000000000000; a call holds at most 1073741824"):
        bigram.sample(10**13)


@pytest.mark.parametrize("logit", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_the_fault_of_the_artifact(logit):
    sampler = Sampler(metadata(tuple("ab")), lambda: LogitsStep(lambda ids: [0, 0, logit], 3))
    with pytest.raises(ArtifactError, match="the model's logits"):
        sampler.sample(1)


def test_threads_that_sample_at_once_from_one_sampler_do_not_disturb_each_other(tiny, strategy):
    sampler = load_tiny(tiny.name, strategy, threads=2)
    seeds = range(40)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda seed: sampler.sample(200, min_length=0, seed=seed), seeds))
    assert made == [sampler.sample(200, min_length=0, seed=seed) for seed in seeds]


def test_sixteen_threads_with_mixed_calls_get_what_one_gets(tiny):
    sampler = makemore.load(FOLDER / tiny.name, threads=2)
    strings = [text for text in sampler.sample(100, min_length=0, seed=0) if text]

    def call(i):
        match i % 5:
            case 0:
                return sampler.sample(1, min_length=0, seed=i)
            case 1:
                return sampler.sample(300, min_length=0, seed=i, temperature=0.5, batch_size=7)
            case 2:
                return [s.log_prob for s in sampler.sample_ids(20, min_length=0, seed=i, top_k=2)]
            case 3:
                return sampler.score(strings[i % 20 :]).tolist()
            case _:
                sampler.clear_cache()
                return sampler.sample(5000, min_length=0, seed=i)

    calls = range(160)
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(call, calls))
    assert made == [call(i) for i in calls]


# At temperature 0 the bigram says "a" for ever: only an interrupt ends this.
ENDLESS = """
import signal, threading
import makemore
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sampler = makemore.load({artifact!r}, threads=2)
{before}
try:
    sampler.sample({n}, min_length=0, temperature={temperature}, max_length=2**40, seed=1)
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
