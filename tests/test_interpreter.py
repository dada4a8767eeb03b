"""The interpreter's exit while calls run, forks, and subinterpreters."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import makemore
import pytest
from tiny_artifacts import FOLDER

BIGRAM = str(FOLDER / "bigram")


def run(program, **variables):
    """The outcome of a Python program."""
    text = "\n".join(f"{name} = {value!r}" for name, value in variables.items())
    return subprocess.run(
        [sys.executable, "-c", text + "\n" + textwrap.dedent(program)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


DAEMONS = """
    import atexit, sys, threading, time
    if before: atexit.register(lambda: print(len(sampler.sample(3))))
    import makemore
    sampler = makemore.load(bigram, threads=threads)
    if python_step:
        sys.path.insert(0, tests)
        from python_step import sampler_of
        import tiny_models
        endless = sampler_of(tiny_models.BIGRAM)
    else:
        endless = sampler

    def work():
        while True:
            endless.sample(n, max_length=max_length, temperature=temperature, seed=1)

    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.3)
    print("exit")
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("python_step", [False, True])
@pytest.mark.parametrize(
    ("n", "max_length", "temperature"), [(1, 20, 1), (1000, 20, 1), (1, 2**40, 0)]
)
def test_daemon_threads_that_sample_do_not_abort_the_exit(
    threads, python_step, n, max_length, temperature
):
    ended = run(
        DAEMONS,
        bigram=BIGRAM,
        tests=str(Path(__file__).parent),
        before=True,
        threads=threads,
        python_step=python_step,
        n=n,
        max_length=max_length,
        temperature=temperature,
    )
    # The handler that was registered first runs last, and may still sample.
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "exit\n3\n", "")


def test_a_daemon_thread_that_loads_does_not_abort_the_exit():
    code = """
        import threading, time
        import makemore
        def work():
            while True:
                makemore.load(bigram)
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
    """
    ended = run(code, bigram=BIGRAM)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_threads_that_are_no_daemons_finish_their_work():
    code = """
        import threading
        import makemore
        sampler = makemore.load(bigram)
        threading.Thread(target=lambda: print(len(sampler.sample(200_000)))).start()
    """
    ended = run(code, bigram=BIGRAM)
    assert (ended.returncode, ended.stdout) == (0, "200000\n")


@pytest.mark.forks_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_the_child_of_a_fork_exits_at_once_whatever_ran_in_its_parent():
    code = """
        import os, threading, time
        import makemore
        sampler = makemore.load(bigram, threads=1)
        token = makemore.CancellationToken()
        thread = threading.Thread(
            target=lambda: sampler.sample(
                1, max_length=2**40, temperature=0, cancellation=token
            )
        )
        threading.excepthook = lambda args: None
        thread.start()
        time.sleep(0.2)
        begin = time.monotonic()
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            token.cancel()
            thread.join()
            print(status, time.monotonic() - begin < 4)
        else:
            print(len(sampler.sample(3)))
    """
    ended = run(code, bigram=BIGRAM)
    assert (ended.stdout, ended.stderr) == ("3\n0 True\n", "")


@pytest.mark.forks_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_children_of_forks_sample_while_threads_of_the_parent_do():
    """A model that ONNX Runtime runs, whose locks a child would wait for."""
    code = """
        import os, threading
        import makemore
        sampler = makemore.load(history, threads=1, cache_bytes=0)
        going_on = True
        def work():
            while going_on:
                sampler.sample(300)
        threads = [threading.Thread(target=work) for _ in range(os.cpu_count() + 1)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            child = os.fork()
            if not child:
                os._exit(len(sampler.sample(3)))
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        going_on = False
    """
    ended = run(code, history=str(FOLDER / "history"))
    assert (ended.stdout, ended.stderr) == ("3\n" * 20, "")


IMPORT = """
import importlib.util
spec = importlib.util.spec_from_file_location("makemore", file)
try:
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
except ImportError as error:
    print(error, flush=True)
"""

SUBINTERPRETER = """
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    if first: import makemore
    interpreters.run_string(interpreters.create(), f"file = {file!r}\\n" + code)
"""


@pytest.mark.parametrize("first", [False, True])
def test_an_import_in_a_subinterpreter_is_an_import_error(first):
    ended = run(SUBINTERPRETER, code=IMPORT, file=makemore._interpreter.__file__, first=first)
    assert ended.stdout == "makemore runs in the main interpreter only, not in a subinterpreter\n"
