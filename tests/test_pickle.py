"""A sampler in other processes: pickled, copied, forked."""

import copy
import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from operator import methodcaller
from pathlib import Path

import makemore
import pytest
import tiny_models
from makemore import ArtifactError, OptionTypeError
from python_step import sampler_of
from tiny_artifacts import FOLDER

SAMPLE = methodcaller("sample", 300, seed=1)


@pytest.fixture
def file(tmp_path):
    return Path(shutil.copy(FOLDER / "cache" / "model.onnx", tmp_path))


def test_a_pickled_sampler_gives_the_same_strings_with_the_same_options(file):
    sampler = makemore.load(file, threads=2, max_bytes=2**28)
    again = pickle.loads(pickle.dumps(sampler))
    assert SAMPLE(again) == SAMPLE(sampler)
    assert (again.threads, again.device) == (2, "cpu")
    assert pickle.dumps(again) == pickle.dumps(sampler)


def test_a_pickle_holds_the_place_of_a_file_and_not_its_bytes(file):
    assert len(pickle.dumps(makemore.load(file))) < 1000


def test_a_sampler_loaded_by_a_relative_path_is_found_from_another_folder(
    file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(makemore.load("model.onnx"))
    monkeypatch.chdir(os.sep)
    assert SAMPLE(pickle.loads(pickled)) == SAMPLE(makemore.load(file))


def test_a_sampler_of_bytes_is_pickled_with_its_bytes(file):
    with file.open("rb") as stream:
        sampler = makemore.load(stream)
    file.unlink()
    assert SAMPLE(pickle.loads(pickle.dumps(sampler))) == SAMPLE(sampler)


def test_a_file_that_changed_since_it_was_pickled_is_refused(file):
    pickled = pickle.dumps(makemore.load(file))
    shutil.copy(FOLDER / "bigram" / "model.onnx", file)
    with pytest.raises(ArtifactError, match=r"changed since the sampler was pickled: its SHA-256"):
        pickle.loads(pickled)
    file.unlink()
    with pytest.raises(ArtifactError, match="no such file"):
        pickle.loads(pickled)


def test_a_file_that_changed_since_it_was_loaded_is_not_pickled(file):
    sampler = makemore.load(file)
    shutil.copy(FOLDER / "bigram" / "model.onnx", file)
    with pytest.raises(ArtifactError, match="changed since it was loaded"):
        pickle.dumps(sampler)
    file.unlink()
    with pytest.raises(ArtifactError, match="changed since it was loaded"):
        pickle.dumps(sampler)


def test_a_sampler_over_a_step_of_its_own_is_not_pickled():
    with pytest.raises(OptionTypeError, match="made with a new_step of its own"):
        pickle.dumps(sampler_of(tiny_models.BIGRAM))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_sample_as_the_original_does(bigram, duplicate):
    assert SAMPLE(duplicate(bigram)) == SAMPLE(bigram)
    own = sampler_of(tiny_models.BIGRAM)
    assert SAMPLE(duplicate(own)) == SAMPLE(own)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_pool_of_processes_samples_with_a_sampler_that_is_sent_to_it(method):
    sampler = makemore.load(FOLDER / "fused", threads=2)
    expected = SAMPLE(sampler)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        assert pool.submit(SAMPLE, sampler).result(timeout=120) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_after_a_load_and_a_call_samples_with_what_it_inherits():
    sampler = makemore.load(FOLDER / "fused", threads=2)
    expected = SAMPLE(sampler)
    child = os.fork()
    if child == 0:
        os._exit(0 if SAMPLE(sampler) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
