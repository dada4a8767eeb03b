"""The decoder in NumPy, which knows docs/artifact.md only, makes the strings of makemore."""

import runpy
import subprocess
import sys
from pathlib import Path

import makemore
import numpy as np
import pytest
from makemore import _core
from tiny_artifacts import FOLDER

DECODER = Path(__file__).parents[1] / "examples" / "decode_in_numpy.py"
ARTIFACTS = sorted(file.parent for file in FOLDER.glob("**/model.onnx"))
SEEDS = (1, 2**40 + 7)


def check_decoder(folder, seed):
    """200 strings of an artifact; the artifact is opened by makemore first."""
    sampler = makemore.load(folder, threads=1)
    example, path = runpy.run_path(str(DECODER)), str(folder / "model.onnx")
    assert example["sample"](path, 200, seed) == sampler.sample(200, seed=seed)
    expected = sampler.sample(200, seed=seed, first_row=50, min_length=0)
    assert example["decode"](path, 200, seed, 50) == expected


@pytest.mark.parametrize("folder", ARTIFACTS, ids=lambda folder: str(folder.relative_to(FOLDER)))
@pytest.mark.parametrize("seed", SEEDS)
def test_the_decoder_in_numpy_makes_the_strings_of_makemore(folder, seed):
    check_decoder(folder, seed)


def test_the_decoder_in_numpy_prints_a_string_a_line_and_imports_no_makemore():
    model = FOLDER / "schema-2" / "words" / "model.onnx"
    expected = makemore.load(model, threads=1).sample(5, seed=3)
    command = [sys.executable, "-X", "importtime", DECODER, model, "5", "3"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines() == expected
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "onnxruntime" in imported
    assert "makemore" not in imported


@pytest.mark.parametrize(("seed", "position"), [(0, 0), (1, 2), (2**64 - 1, 2**32 - 1)])
def test_the_coins_of_the_decoder_in_numpy_are_those_of_makemore(seed, position):
    rows = np.array([0, 1, 2**32, 2**64 - 1], dtype=np.uint64)
    expected = [_core.coin(seed, row, position) for row in rows.tolist()]
    assert runpy.run_path(str(DECODER))["coins"](seed, rows, position).tolist() == expected
