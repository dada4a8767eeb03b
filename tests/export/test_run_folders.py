"""A run folder is sampled as it is, without an export."""

import sys

import makemore
import pytest
from commands import run
from makemore import ArtifactError, MissingDependencyError, OptionError
from makemore.commands.sample import sample
from makemore_export.packing.artifact_folder import export
from small_runs import trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    trained(folder, "mlp")
    return folder


def test_a_run_gives_the_strings_that_its_artifact_gives(folder, tmp_path):
    from makemore_export.runs.checkpoint import read_source

    export(read_source(folder), tmp_path / "artifact")
    artifact = makemore.load(tmp_path / "artifact")
    opened = makemore.load(folder)
    assert opened.sample(50, seed=1) == artifact.sample(50, seed=1)
    assert opened.score(["ab"]) == pytest.approx(artifact.score(["ab"]), abs=1e-4)
    out, _ = run(sample, folder, "-n", 5, "--seed", 1)
    assert out.splitlines() == artifact.sample(5, seed=1)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"device": "cuda"}, "device is 'cuda'; .* is a run, which is sampled on the CPU"),
        ({"threads": 2}, "threads is 2; .* is a run, which is sampled on 1"),
    ],
)
def test_what_a_run_cannot_have_is_refused(folder, option, message):
    with pytest.raises(OptionError, match=message):
        makemore.load(folder, **option)
    assert makemore.load(folder, device="auto", threads=1).sample(2, seed=1)


def test_a_folder_of_another_kind_is_no_artifact(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ArtifactError, match=r"model\.onnx: no such file"):
        makemore.load(tmp_path)


def test_a_run_where_pytorch_is_missing_says_what_to_install(folder, monkeypatch):
    for name in [each for each in sys.modules if each.startswith("makemore_export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    message = r"a run is sampled in PyTorch: .*; pip install 'makemore\[export\]'"
    with pytest.raises(MissingDependencyError, match=message):
        makemore.load(folder)
