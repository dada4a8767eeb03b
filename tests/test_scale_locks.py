"""One run at a time works in a folder."""

import os

import pytest
from makemore import OptionError
from tiny_artifacts import FOLDER

pa = pytest.importorskip("pyarrow")
from makemore import scale  # noqa: E402
from makemore.scale.storage import Folder  # noqa: E402

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows locks no folders")


def generate(folder, **options):
    return scale.generate(FOLDER / "bigram", 900, 7, folder, shard_rows=300, workers=1, **options)


@pytest.mark.parametrize("place", [str, lambda folder: folder.as_uri()], ids=["path", "URI"])
def test_a_second_run_in_a_folder_is_refused_and_takes_nothing_from_the_first(tmp_path, place):
    folder = tmp_path / "made"
    kept = []

    def again(_):
        under_way = folder / ".rows.parquet.0000.partial"
        under_way.touch()
        with pytest.raises(OptionError, match="made: another run works in it; wait for its end"):
            generate(place(folder))
        kept.append(under_way.exists())

    manifest = generate(folder, on_result=again)
    assert kept == [True] * 3
    assert generate(place(folder)) == manifest


def test_a_run_that_failed_leaves_no_lock(tmp_path):
    with pytest.raises(ZeroDivisionError):
        generate(tmp_path / "made", on_result=lambda _: 1 // 0)
    assert generate(tmp_path / "made").complete


def test_a_filesystem_that_has_no_locks_is_left_to_the_caller(tmp_path, monkeypatch):
    elsewhere = Folder("x", pa.fs.SubTreeFileSystem(str(tmp_path), pa.fs.LocalFileSystem()), "made")
    with elsewhere.locked(), elsewhere.locked():
        pass

    def unknown(*_):
        raise OSError(9, "Bad file descriptor")  # as NFS says of a folder

    monkeypatch.setattr("fcntl.flock", unknown)
    assert generate(tmp_path / "made").complete


def test_a_lock_ends_with_its_run_though_a_forked_process_has_its_descriptor(tmp_path, monkeypatch):
    opened = os.open
    descriptors = []

    def open_twice(*arguments):
        descriptor = opened(*arguments)
        descriptors.append(os.dup(descriptor))  # what a fork does
        return descriptor

    monkeypatch.setattr(os, "open", open_twice)
    try:
        with Folder.of(tmp_path).locked():
            pass
        with Folder.of(tmp_path).locked():
            pass
    finally:
        for each in descriptors:
            os.close(each)
    assert len(descriptors) == 2
