"""Who may write a target, and under which names it is prepared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from makemore.errors import CheckpointError, OptionError
from makemore_export.runs.atomic_files import (
    prepared_folder,
    remove_partial_files,
    replace_folder,
    write_file,
)
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.runs.target_lock import locked

HOLD_THE_LOCK = """
import sys, time
from pathlib import Path
from makemore_export.runs.target_lock import locked
with locked(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(600)
"""


def holder(target: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of `target`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(target)],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_target_that_another_process_writes_is_refused_until_that_process_is_killed(tmp_path):
    target = tmp_path / "out"
    with holder(target) as process:
        with pytest.raises(OptionError, match="out: another process is writing it now"):
            locked(target).__enter__()
        with locked(tmp_path / "other"):
            pass
        process.kill()
    with locked(target):
        pass
    assert list(tmp_path.iterdir()) == []


def test_threads_that_lock_in_turn_are_never_inside_together(tmp_path):
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(200):
            try:
                with locked(tmp_path / "out"):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except OptionError:  # noqa: PERF203
                time.sleep(0)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_somebody_else_with_the_name_of_the_lock_is_kept(tmp_path):
    path = tmp_path / ".out.makemore-lock"
    path.write_text("mine")
    with locked(tmp_path / "out"):
        pass
    assert path.read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes no links for everybody")
def test_a_lock_that_is_a_symbolic_link_is_refused(tmp_path):
    (tmp_path / ".out.makemore-lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OptionError, match="cannot be opened to lock it"):
        locked(tmp_path / "out").__enter__()
    assert not (tmp_path / "victim").exists()


def test_folders_of_others_beside_the_target_are_kept(tmp_path):
    theirs = [".out.partial", ".out.makemore-notes", "out.old"]
    for name in theirs:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("mine")
    with prepared_folder(tmp_path / "out") as prepared:
        replace_folder(prepared, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out", *theirs}
    assert all((tmp_path / name / "thesis.txt").exists() for name in theirs)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_a_killed_process_prepared_is_removed_by_the_next(tmp_path):
    code = """
import os, signal, sys
from pathlib import Path
from makemore_export.runs.atomic_files import prepared_folder
with prepared_folder(Path(sys.argv[1])) as prepared:
    (prepared / "model.onnx").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    killed = subprocess.run(command, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with prepared_folder(tmp_path / "out") as prepared:
        replace_folder(prepared, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_of_a_process_killed_before_it_marked_it_is_removed(tmp_path):
    (tmp_path / ".out.makemore-12345678").mkdir()
    with prepared_folder(tmp_path / "out"):
        pass
    assert not list(tmp_path.iterdir())


def test_brackets_in_a_name_match_no_other_name(tmp_path):
    with (
        prepared_folder(tmp_path / "names1") as other,
        prepared_folder(tmp_path / "names[1]"),
    ):
        assert other.is_dir()


def test_what_is_left_beside_a_name_with_brackets_is_removed(tmp_path):
    (tmp_path / ".names[1].makemore-12345678").mkdir()
    with prepared_folder(tmp_path / "names[1]"):
        pass
    (tmp_path / ".file[1].makemore-12345678").touch()
    (tmp_path / ".file1.makemore-12345678").touch()
    remove_partial_files(tmp_path / "file[1]")
    assert [path.name for path in tmp_path.iterdir()] == [".file1.makemore-12345678"]


def test_an_old_folder_moved_away_by_a_killed_process_is_put_back(tmp_path):
    left = tmp_path / ".out.makemore-12345678"
    (left / "old").mkdir(parents=True)
    (left / "old" / "file").write_text("old")
    (left / "made-by-makemore").touch()
    with prepared_folder(tmp_path / "out"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "file").read_text() == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes no links for everybody")
def test_a_symbolic_link_is_replaced_by_the_file_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "best.safetensors").symlink_to(victim)
    write_file(tmp_path / "best.safetensors", b"new")
    assert victim.read_text() == "mine"
    assert not (tmp_path / "best.safetensors").is_symlink()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes no links for everybody")
def test_a_log_that_is_a_symbolic_link_is_refused(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.log.symlink_to(victim)
    with pytest.raises(CheckpointError, match=r"log\.jsonl: is a symbolic link"):
        folder.open(0)
    assert victim.read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_a_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode
