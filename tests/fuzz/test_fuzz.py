"""Hostile files are refused with a typed error, or run: nothing crashes, hangs or swells."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cases
import makemore
import mutate
import pytest
from corpus import corpus
from makemore import ArtifactError, OrtError

RUN = Path(__file__).parent / "run.py"
REFUSED_AT_USE = ("const_4g", "ngram_far")
# An index of -1 in a table of an n-gram is its last row, by the rules of ONNX: such a file runs.
HARMLESS = ("escapes", "neverstop_million", "ngram_wraps")
REFUSED_AT_LOAD = sorted(cases.CASES.keys() - {*REFUSED_AT_USE, *HARMLESS})


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
def test_cases_and_mutants_are_refused_or_run():
    command = [sys.executable, str(RUN), "--mutants", "400", "--seconds", "15", "--jobs", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", REFUSED_AT_LOAD)
def test_a_file_that_is_wrong_is_refused_at_load(name, tmp_path):
    folder = cases.write(cases.CASES[name](), tmp_path / "artifact")
    with pytest.raises(ArtifactError):
        makemore.load(folder, threads=1)


@pytest.mark.parametrize("name", REFUSED_AT_USE)
def test_what_only_a_step_can_tell_is_refused_at_the_first_one(name, tmp_path):
    folder = cases.write(cases.CASES[name](), tmp_path / "artifact")
    sampler = makemore.load(folder, threads=1)
    with pytest.raises(OrtError):
        sampler.sample(8, seed=1)


def test_a_weight_in_another_file_is_refused_even_in_the_artifacts_own_folder(tmp_path):
    folder = cases.write(cases.external_data(tmp_path), tmp_path)
    with pytest.raises(ArtifactError, match="in another file"):
        makemore.load(folder, threads=1)


@pytest.mark.parametrize("build", [cases.stateless, cases.ngram, cases.fused])
def test_the_cases_are_wrong_in_one_way_only(build, tmp_path):
    sampler = makemore.load(cases.write(build(), tmp_path), threads=1)
    assert len(sampler.sample(8, seed=1)) == 8


def test_a_mutant_depends_on_the_artifact_and_its_number_alone():
    _, data = corpus()[0]
    again = [mutate.mutant(data, seed) for seed in range(50)]
    assert [mutate.mutant(data, seed) for seed in reversed(range(50))] == again[::-1]
    assert len(set(again)) > 45
