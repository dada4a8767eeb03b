"""Files that commands write: whole under their name, or as they were."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import makemore
import pytest
from commands import run
from makemore.commands.output_file import output_file
from makemore.commands.sample import sample
from makemore.errors import OptionError
from tiny_artifacts import FOLDER

BIGRAM = FOLDER / "bigram"
OPTIONS = ["-n", 3, "--seed", 1]


def made():
    return makemore.load(BIGRAM).sample(3, seed=1)


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("old")
    with output_file(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["names.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_file_is_as_it_was_where_writing_failed(tmp_path, error):
    path = tmp_path / "names.txt"
    path.write_text("old")
    with pytest.raises(error), output_file(path) as stream:
        stream.write(b"new")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["names.txt"]


def test_what_cannot_be_written_is_refused_before_anything_is_sampled(tmp_path):
    missing = tmp_path / "no" / "names.csv"
    for path, message in [
        (missing, f"{missing}: cannot be written: No such file or directory"),
        (tmp_path, f"{tmp_path}: is a folder; name a file"),
    ]:
        with pytest.raises(OptionError, match=message), output_file(path):
            pytest.fail("the block began")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_file_keeps_its_mode_and_is_never_open_to_others_meanwhile(tmp_path):
    path = tmp_path / "names.txt"
    path.touch(0o600)
    with output_file(path):
        modes = [each.stat().st_mode & 0o777 for each in tmp_path.iterdir()]
    assert modes == [0o600, 0o600]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process at once")
def test_sigterm_ends_the_command_with_143_and_leaves_no_partial_file(tmp_path):
    code = "from makemore.commands.sample import sample; sample()"
    words = [BIGRAM, "-n", 10**9, "-o", tmp_path / "big.csv"]
    with subprocess.Popen([sys.executable, "-c", code, *map(str, words)]) as process:
        while not any(each.stat().st_size for each in tmp_path.iterdir()):
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        assert process.wait() == 143
    assert names(tmp_path) == []


def test_who_asks_for_sigterm_gets_it_all_the_same(tmp_path):
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with output_file(tmp_path / "a"):
        handler = signal.getsignal(signal.SIGTERM)
        assert handler is not signal.SIG_DFL
        with output_file(tmp_path / "b"):
            assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGTERM) is handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_file_is_written_in_a_thread_too(tmp_path):
    def write():
        with output_file(tmp_path / "names.txt") as stream:
            stream.write(b"new")

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert (tmp_path / "names.txt").read_bytes() == b"new"


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "names*.txt"
    left = tmp_path / f".{path.name}.makemore-0123abcd"
    others = [
        tmp_path / f".{path.name}.makemore-0123456789abcdef",
        tmp_path / f".{path.name}.makemore-mine",
        tmp_path / ".names2.txt.makemore-0123abcd",
    ]
    for each in (left, *others):
        each.write_text("partial")
    with output_file(path) as one, output_file(path) as other:
        assert not left.exists()
        one.write(b"one")
        other.write(b"other")
    assert path.read_bytes() == b"one"  # it was written last: the other did not remove it
    assert names(tmp_path) == sorted(each.name for each in (path, *others))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_neither_followed_nor_replaced(tmp_path, exists):
    target, link = tmp_path / "target", tmp_path / "link"
    if exists:
        target.write_text("old")
    link.symlink_to(target)
    message = "link: is a symbolic link; name the file that it points to"
    assert message in run(sample, BIGRAM, *OPTIONS, "-o", link, code=2)[1]
    assert link.is_symlink()
    assert not exists or target.read_text() == "old"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)  # as /dev/stdout is one
    for path in (pipe, link):
        read = []
        reader = threading.Thread(target=lambda into=read: into.append(pipe.read_text()))
        reader.start()
        assert run(sample, BIGRAM, *OPTIONS, "-o", path) == ("", "")
        reader.join()
        assert read[0].splitlines() == made()
        assert pipe.is_fifo()
    assert names(tmp_path) == ["link", "pipe"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("suffix", ["text", "jsonl", "csv", "parquet"])
def test_a_full_disk_is_one_line(tmp_path, suffix):
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    error = run(sample, BIGRAM, *OPTIONS, "--format", suffix, "-o", link, code=2)[1]
    assert "full: cannot be written: No space left on device" in error


def test_a_dash_is_stdout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(sample, BIGRAM, *OPTIONS, "-o", "-")[0].splitlines() == made()
    assert names(tmp_path) == []
