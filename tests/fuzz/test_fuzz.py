"""Hostile files are refused with a typed error, or run: nothing crashes, hangs or swells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cases
import makemore
import mutate
import operators
import pytest
from corpus import corpus
from makemore import ArtifactError

RUN = Path(__file__).parent / "run.py"
HARMLESS = ("escapes", "neverstop_million")
REFUSED_AT_LOAD = sorted(cases.CASES.keys() - {*HARMLESS})


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
def test_cases_and_mutants_are_refused_or_run():
    command = [sys.executable, str(RUN), "--mutants", "400", "--seconds", "15", "--jobs", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_models_of_one_operator_are_refused_or_run():
    found = operators.attempt_all(range(1000))
    assert [outcome for outcome in found if outcome.startswith("FINDING")] == []
    assert found["runs"] > 100


@pytest.mark.parametrize("name", REFUSED_AT_LOAD)
def test_a_file_that_is_wrong_is_refused_at_load(name, tmp_path):
    folder = cases.write(cases.CASES[name](), tmp_path / "artifact")
    with pytest.raises(ArtifactError):
        makemore.load(folder, threads=1)


def test_a_weight_in_another_file_is_refused_even_in_the_artifacts_own_folder(tmp_path):
    folder = cases.write(cases.external_data(tmp_path), tmp_path)
    with pytest.raises(ArtifactError, match="in another file"):
        makemore.load(folder, threads=1)


@pytest.mark.parametrize(
    "build",
    [cases.stateless, cases.ngram, cases.fused, lambda: cases.convolution_bias([8])],
)
def test_the_cases_are_wrong_in_one_way_only(build, tmp_path):
    sampler = makemore.load(cases.write(build(), tmp_path), threads=1)
    assert len(sampler.sample(8, seed=1)) == 8


def test_a_mutant_depends_on_the_artifact_and_its_number_alone():
    _, data = corpus()[0]
    again = [mutate.mutant(data, seed) for seed in range(50)]
    assert [mutate.mutant(data, seed) for seed in reversed(range(50))] == again[::-1]
    assert len(set(again)) > 45
