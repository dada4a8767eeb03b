"""What is made at its first use is made once, however many threads come first."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from makemore import _core
from makemore.runtime import onnxruntime_library
from tiny_artifacts import FOLDER

THREADS = 16
PROCESSES = 10
"""Without a guard one process in four to eight crashed."""

FIRST_METADATA = f"""
import sys, threading
from makemore.artifact import Artifact
text = sys.argv[1]
sys.setswitchinterval(1e-6)
together = threading.Barrier({THREADS})
def read():
    together.wait()
    assert len(Artifact.from_json(text, "a test").golden.strings) == 20
threads = [threading.Thread(target=read) for _ in range({THREADS})]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""

FIRST_LOAD = f"""
import sys, threading, makemore
together, made = threading.Barrier({THREADS}), set()
def load():
    together.wait()
    made.add(tuple(makemore.load(sys.argv[1], threads=1).sample(3, seed=1)))
threads = [threading.Thread(target=load) for _ in range({THREADS})]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(made) == 1, made
"""


def run_again_and_again(code, argument):
    for _ in range(PROCESSES):
        done = subprocess.run(
            [sys.executable, "-c", code, argument], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_threads_that_are_the_first_to_read_metadata_all_read_it(bigram):
    run_again_and_again(FIRST_METADATA, bigram.artifact.to_json())


@pytest.mark.parametrize("path", ["bigram", "fused"])
def test_threads_that_are_the_first_to_load_all_load(path):
    run_again_and_again(FIRST_LOAD, str(FOLDER / path))


def test_the_library_is_opened_once_by_threads_that_are_the_first(monkeypatch):
    opened = []

    def slow_library(path):
        time.sleep(0.05)
        opened.append(path)
        return object()

    monkeypatch.setattr(_core, "Library", slow_library)
    onnxruntime_library._open_library.cache_clear()
    try:
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(onnxruntime_library.open_library()))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        onnxruntime_library._open_library.cache_clear()
    assert len(opened) == 1
    assert len(found) == 4
    assert len(set(map(id, found))) == 1
