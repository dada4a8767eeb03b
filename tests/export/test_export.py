"""Artifacts: the files do what the model does, and a folder is never half of one."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import makemore
import numpy as np
import onnx
import pytest
import torch
from makemore.artifact import Golden
from makemore.errors import CheckpointError, ExportError, OptionError
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import mean_nll
from makemore_export.models import MODELS
from makemore_export.packing import artifact_folder, golden_samples
from makemore_export.packing.artifact_folder import check_target, export
from makemore_export.packing.eager import describe, eager_sampler
from makemore_export.packing.onnx_export import to_onnx
from makemore_export.packing.step_module import StepModule
from makemore_export.packing.verification import verify
from makemore_export.runs.checkpoint import RunFolder, read_source
from msgspec.structs import replace
from small_runs import LINES, trained
from test_checkpoint import killed_after
from test_device_decode import check_same, on_device, on_host
from test_examples import SEEDS, check_decoder

FILES = {"model.onnx", "model.ts", "README.md", "report.json"}


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """The folder of an artifact, and the checkpoint that it was made of."""
    folder = tmp_path_factory.mktemp(request.param)
    source = trained(folder / "run", request.param)
    export(source, folder / "artifact")
    return folder / "artifact", source


def restored(source):
    model = source.run.new_model().eval()
    model.load_state_dict(source.weights)
    return model


def test_the_artifact_is_four_files_that_the_report_vouches_for(exported):
    folder, source = exported
    assert {path.name for path in folder.iterdir()} == FILES
    report = json.loads((folder / "report.json").read_text())
    for name, digest in report["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert report["losses"] == source.progress.losses
    assert [entry["file"] for entry in report["verification"]] == ["model.onnx", "model.ts"]
    assert f"trained on {source.run.data.name}" in (folder / "README.md").read_text()


def test_both_files_and_pytorch_give_the_same_samples(exported):
    folder, source = exported
    model = restored(source)
    wanted = eager_sampler(model, describe(source.run, source.progress, model)).sample(1000, seed=7)
    for file in ("model.onnx", "model.ts"):
        for artifact in (folder / file, (folder / file).read_bytes()):
            sampler = makemore.load(artifact, threads=1, trust=True)
            assert sampler.sample(1000, seed=7) == wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_the_decoder_in_numpy_makes_the_samples_of_any_model(exported, seed):
    check_decoder(exported[0], seed)


@pytest.mark.parametrize(
    ("n", "options"),
    [(10_000, {}), (1_000, {"temperature": 0.8, "top_k": 9, "top_p": 0.9})],
    ids=str,
)
def test_a_decode_on_a_device_makes_the_samples_of_the_host(exported, n, options):
    file = exported[0] / "model.onnx"
    made = on_device(file).sample_ids(n, seed=5, batch_size=4096, **options)
    check_same(made, on_host(file).sample_ids(n, seed=5, **options))


def test_the_score_of_the_artifact_is_the_loss_of_the_model(exported):
    folder, source = exported
    sampler = makemore.load(folder, threads=1)
    strings = EncodedStrings(LINES, sampler.vocabulary)
    characters = sum(len(line) + 1 for line in LINES)
    expected = mean_nll(restored(source), strings)
    assert -sampler.score(LINES).sum() / characters == pytest.approx(expected, abs=1e-6)


def test_the_metadata_tells_the_run(exported):
    folder, source = exported
    artifacts = [
        makemore.load(folder / file, trust=True).artifact for file in ("model.onnx", "model.ts")
    ]
    assert artifacts[0] == artifacts[1]
    artifact = artifacts[0]
    assert artifact.model.type == source.run.model
    assert artifact.model.config == source.run.config | source.progress.fitted
    assert artifact.tokens == source.run.tokens == tuple(sorted(set("".join(LINES))))
    assert artifact.training.data == source.run.data
    assert artifact.training.losses == source.progress.losses
    assert len(artifact.golden.strings) == 32


def test_the_files_name_no_path_of_the_machine_that_made_them(exported):
    folder, _ = exported
    for file in ("model.onnx", "model.ts"):
        data = (folder / file).read_bytes()
        for path in (Path(torch.__file__).parent, Path(makemore.__file__).parent, Path.cwd()):
            assert str(path).encode() not in data


def test_the_graph_writes_a_slot_of_each_cache_and_ring_with_one_node(exported):
    folder, source = exported
    model = onnx.load(folder / "model.onnx")
    kinds = [node.op_type for part in (model.graph, *model.functions) for node in part.node]
    slotted = [spec for spec in restored(source).states() if len(spec.shape) == 2]
    assert kinds.count("ScatterND") == len(slotted)
    assert "Expand" not in kinds


def other_weights(step, artifact):
    """An exporter gone wrong by a little."""
    for weight in step.model.state_dict().values():
        weight.add_(1e-2 * torch.rand_like(weight))
    return to_onnx(step, artifact)


def test_a_mismatch_leaves_the_old_artifact_and_nothing_else(tmp_path, monkeypatch):
    source = trained(tmp_path / "run", "bigram")
    export(source, tmp_path / "artifact")
    old = {path.name: path.read_bytes() for path in (tmp_path / "artifact").iterdir()}
    monkeypatch.setitem(
        artifact_folder.MODEL_FILES, "model.onnx", lambda s, a, _: other_weights(copy(s), a)
    )
    with pytest.raises(ExportError, match=r"model\.onnx: logit .* is off by .* limit is 0\.0001"):
        export(source, tmp_path / "artifact")
    with pytest.raises(ExportError):
        export(source, tmp_path / "new")
    assert {path.name: path.read_bytes() for path in (tmp_path / "artifact").iterdir()} == old
    assert {path.name for path in tmp_path.iterdir()} == {"run", "artifact"}


def copy(step):
    model = type(step.model)(step.model.config, len(step.model.logits))
    model.load_state_dict({name: w.clone() for name, w in step.model.state_dict().items()})
    return StepModule(model)


def test_golden_samples_that_differ_are_a_mismatch(tmp_path):
    source = trained(tmp_path / "run", "bigram")
    export(source, tmp_path / "artifact")
    artifact = makemore.load(tmp_path / "artifact").artifact
    strings = ("x", *artifact.golden.strings[1:])
    wrong = replace(artifact, golden=Golden(seed=0, strings=strings))
    with pytest.raises(ExportError, match=r"sample 0 of seed 0 is .* not 'x'"):
        verify(tmp_path / "artifact" / "model.onnx", restored(source), wrong)


def test_no_golden_sample_hangs_on_the_last_bits_of_a_logit(exported):
    folder, _ = exported
    sampler = makemore.load(folder)
    golden, step = sampler.artifact.golden, sampler.new_step()
    for row, string in enumerate(golden.strings):
        step.reset(1)
        fed = [0, *sampler.vocabulary.encode(string)]
        for position, token in enumerate(fed):
            logits = step.run(np.array([token]), np.array([position]))[0].astype(float)
            cdf = np.cumsum(np.exp(logits - logits.max()))
            coin = makemore._core.coin(golden.seed, row, position)
            assert np.abs(cdf / cdf[-1] - coin).min() > 1e-6


def test_golden_samples_are_few_where_they_are_long(tmp_path, monkeypatch):
    monkeypatch.setattr(golden_samples, "_GOLDEN_TOKENS", 40)
    export(trained(tmp_path / "run", "bigram"), tmp_path / "artifact")
    sampler = makemore.load(tmp_path / "artifact")
    golden = sampler.artifact.golden
    count = len(golden.strings)
    sizes = [len(string) + 1 for string in sampler.sample(count + 1, seed=golden.seed)]
    assert sum(sizes[:count]) <= 40 < sum(sizes)


def test_impossible_characters_stay_impossible(tmp_path):
    source = trained(tmp_path / "run", "bigram", smoothing=0.0)
    export(source, tmp_path / "artifact")
    scores = makemore.load(tmp_path / "artifact").score(["aa", *LINES[:1]])
    assert scores[0] == -np.inf


def test_only_an_artifact_is_replaced(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name, content in (("mine", "thesis.txt"), ("card", "README.md")):
        (tmp_path / name).mkdir()
        (tmp_path / name / content).write_text("mine")
    check_target(tmp_path / "empty")
    check_target(tmp_path / "new")
    with pytest.raises(OptionError, match="is a file; an artifact is a folder"):
        check_target(tmp_path / "file")
    with pytest.raises(OptionError, match=r"holds 'thesis.txt', so it is not an artifact"):
        check_target(tmp_path / "mine")
    with pytest.raises(OptionError, match=r"holds 'README.md', so it is not an artifact"):
        check_target(tmp_path / "card")


def test_a_folder_without_a_best_checkpoint_is_no_source(tmp_path):
    with pytest.raises(CheckpointError, match="not a run that was evaluated once"):
        read_source(tmp_path)


EXPORT_FOR_EVER = """
import sys
from itertools import cycle
from pathlib import Path
from makemore_export.packing.artifact_folder import export
from makemore_export.runs.checkpoint import read_source
folder = Path(sys.argv[1])
sources = [read_source(folder / name) for name in ("one", "two")]
print("ready", flush=True)
for source in cycle(sources):
    export(source, folder / "artifact")
"""


def test_an_export_killed_at_any_moment_leaves_the_old_artifact_or_the_new(tmp_path):
    for seed, name in enumerate(("one", "two")):
        export(trained(tmp_path / name, "bigram", seed=seed), tmp_path / f"{name}.artifact")
    wanted = [
        makemore.load(tmp_path / f"{name}.artifact").artifact.to_json() for name in ("one", "two")
    ]
    shutil.copytree(tmp_path / "two.artifact", tmp_path / "artifact")
    for seconds in (0.2, 0.9, 1.3, 1.6):
        killed_after(seconds, "-c", EXPORT_FOR_EVER, str(tmp_path))
        folder = tmp_path / "artifact"
        assert {path.name for path in folder.iterdir()} == FILES
        report = json.loads((folder / "report.json").read_text())
        for name, digest in report["sha256"].items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert makemore.load(folder).artifact.to_json() in wanted
    export(read_source(RunFolder(tmp_path / "one").path), tmp_path / "artifact")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
