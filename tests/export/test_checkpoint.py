"""Checkpoints and files that a kill cannot tear."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
import safetensors.torch
import torch
from makemore.errors import CheckpointError, TrainingError
from makemore_export.runs import checkpoint
from makemore_export.runs.atomic_files import prepared_folder, replace_folder, write_file
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.training import gradient
from small_runs import records, same, trained


def killed_after(seconds: float, *command: str) -> None:
    """Runs Python until it prints a line, then for some seconds more, then kills it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert process.stdout is not None
    with process, process.stdout as out:
        assert out.readline() == "ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    _, steps = records(tmp_path)
    list(islice(steps, 2))  # the start, and a step
    steps.close()
    last = RunFolder(tmp_path).latest()
    assert last.progress.step == 1
    assert set(last.optimizer) == {
        f"{name}.{key}" for name in last.weights for key in ("exp_avg", "exp_avg_sq", "step")
    }
    checkpoint.save(tmp_path / "copy.safetensors", last)
    assert set(last.average) == set(last.weights)
    copy = checkpoint.load(tmp_path / "copy.safetensors")
    assert (copy.run, copy.progress) == (last.run, last.progress)
    for kind in ("weights", "optimizer", "average"):
        mine, its = getattr(copy, kind), getattr(last, kind)
        assert mine.keys() == its.keys()
        assert all(torch.equal(mine[name], its[name]) for name in its)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "not a readable checkpoint"),
        (b"", "not a readable checkpoint"),
        (b"\x80\x04\x95pickle" * 9, "not a readable checkpoint"),
        (safetensors.torch.save({"w": torch.ones(2)}), "not made by mm-train"),
        (safetensors.torch.save({}, {"makemore": '{"schema": 1}'}), "missing required field `run`"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, data, message):
    path = tmp_path / "file.safetensors"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


def test_components_are_in_the_order_of_their_numbers(tmp_path):
    folder = RunFolder(tmp_path)
    for number in range(12):
        folder.component(number, "gru").path.mkdir(parents=True)
    (tmp_path / "parts" / ".DS_Store").touch()
    names = [each.path.name for each in folder.components()]
    assert names == [f"{number}-gru" for number in range(12)]


def test_a_run_that_was_stopped_after_it_diverged_says_so_when_it_goes_on(tmp_path):
    _, steps = records(tmp_path, "neural-bigram", learning_rate=1e38)
    list(islice(steps, 10))
    steps.close()
    assert RunFolder(tmp_path).latest().progress.nats is None
    with pytest.raises(TrainingError, match="the train loss is nan at step 20"):
        list(records(tmp_path, "neural-bigram", learning_rate=1e38)[1])


def test_a_truncated_checkpoint_is_refused(tmp_path):
    trained(tmp_path)
    best = RunFolder(tmp_path).best
    best.write_bytes(best.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        checkpoint.load(best)


STEPS = 150
TRAIN_WITH_A_CHECKPOINT_A_STEP = """
import sys, torch
from pathlib import Path
from makemore_export.training import gradient
from small_runs import records
gradient.EVALUATE_EVERY = 1
torch.set_num_threads(1)
_, steps = records(Path(sys.argv[1]), max_steps=int(sys.argv[2]))
next(steps)
next(steps)
print("ready", flush=True)
for _ in steps:
    pass
"""


def test_a_run_killed_while_it_writes_resumes_and_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(gradient, "EVALUATE_EVERY", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = trained(tmp_path / "whole", max_steps=STEPS)
    folder = RunFolder(tmp_path / "killed")
    progress = []
    for seconds in (0.0, 0.03, 0.08):
        killed_after(seconds, "-c", TRAIN_WITH_A_CHECKPOINT_A_STEP, str(folder.path), str(STEPS))
        progress.append(folder.latest().progress.step)
    assert 0 < progress[0] < progress[1] < progress[2] < STEPS
    (folder.path / ".last.safetensors.makemore-0123").write_bytes(b"half a check")
    assert same(whole, trained(folder.path, max_steps=STEPS))
    names = {"last.safetensors", "best.safetensors", "log.jsonl"}
    assert {path.name for path in folder.path.iterdir()} == names
    torch.set_num_threads(threads)


REPLACE_FOR_EVER = """
import sys
from itertools import cycle
from pathlib import Path
from makemore_export.runs.atomic_files import prepared_folder, replace_folder, write_file
target = Path(sys.argv[1])
for letter in cycle("ab"):
    write_file(target.with_suffix(".txt"), letter.encode() * 9999)
    print("ready", flush=True)
    with prepared_folder(target) as prepared:
        for name in "xyz":
            (prepared / name).write_text(letter * 9999)
        replace_folder(prepared, target)
"""


def test_a_kill_leaves_a_whole_file_and_a_whole_folder(tmp_path):
    target = tmp_path / "folder"
    random.seed(1)
    for _ in range(12):
        killed_after(random.uniform(0, 0.05), "-c", REPLACE_FOR_EVER, str(target))
        if target.exists():
            assert {(path.name, path.read_text()) for path in target.iterdir()} in [
                {(name, letter * 9999) for name in "xyz"} for letter in "ab"
            ]
        assert (tmp_path / "folder.txt").read_text() in ("a" * 9999, "b" * 9999)


def test_a_folder_is_replaced_where_names_cannot_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr("makemore_export.runs.atomic_files._exchange", lambda *_: False)
    target = tmp_path / "folder"
    for content in ("old", "new"):
        with prepared_folder(target) as prepared:
            (prepared / "file").write_text(content)
            replace_folder(prepared, target)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (target / "file").read_text() == "new"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = Path(tmp_path / "file")
    write_file(path, b"old")

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
