"""Processes that train one model together."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest
import torch
from makemore.errors import OptionError
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.runs.records import Evaluation, Record
from makemore_export.training import distributed
from makemore_export.training.optimizer_step import OptimizerStep
from makemore_export.training.start import initial_model
from small_runs import LINES, planned

WORDS = [
    *("text.txt", "--model", "transformer", "--n-layer", "1", "--n-embd", "8", "--n-head", "2"),
    *("--max-steps", "30", "--batch-size", "7", "--dropout", "0", "--device", "cpu"),
]


def mm_train(folder, *words, processes=1):
    """The finished command, and its evaluations."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [
            *(sys.executable, *(launcher if processes > 1 else [])),
            *("-m", "makemore_export.commands.train", *WORDS, "-o", folder.name, *words),
        ],
        cwd=folder.parent,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    log = folder / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    records = [msgspec.json.decode(line, type=Record) for line in lines]
    return done, [record for record in records if isinstance(record, Evaluation)]


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="PyTorch without gloo")
@pytest.mark.parametrize("words", [(), ("--refit",)])
def test_two_processes_train_as_one_does(tmp_path, words):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    together, shared = mm_train(tmp_path / "two", *words, processes=2)
    assert together.returncode == 0, together.stderr
    _, alone = mm_train(tmp_path / "one", *words)
    assert [record.step for record in shared] == [record.step for record in alone]
    for mine, its in zip(shared, alone, strict=True):
        assert mine.losses == pytest.approx(its.losses, rel=1e-4)
    assert together.stdout.count("mm-export two -o ARTIFACT") == 1
    assert together.stderr.count("first loss") == 1 + len(words)
    assert RunFolder(tmp_path / "two").latest().progress.finished


def test_a_process_of_its_own_joins_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(torch.distributed, "init_process_group", None)
    with distributed.joined("cpu"):
        assert (distributed.rank(), distributed.size()) == (0, 1)
        assert distributed.shared(lambda: "made") == "made"
        assert [distributed.anywhere(flag) for flag in (False, True)] == [False, True]


def test_what_is_for_one_process_is_refused_to_more(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OptionError, match="--find-lr is for one process, not for 2 of torchrun"):
        distributed.refuse("--find-lr")


def test_a_device_that_cannot_be_shared_out_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "99")
    with (
        pytest.raises(OptionError, match=r"process 99 .* has no GPU of its own"),
        distributed.joined("cuda"),
    ):
        pass
    with (
        pytest.raises(OptionError, match="device 'mps' cannot be shared"),
        distributed.joined("mps"),
    ):
        pass


def test_a_batch_of_fewer_strings_than_processes_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "size", lambda: 9)
    run, splits = planned(batch_size=8)
    strings = EncodedStrings(splits["train"], run.vocabulary)
    with pytest.raises(OptionError, match="batch of 8 strings cannot be shared by 9 processes"):
        OptimizerStep(initial_model(run), run, strings)
