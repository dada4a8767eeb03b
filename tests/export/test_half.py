"""Artifacts in float16: smaller, as near to the model as 11 bits allow, and honest about both."""

from __future__ import annotations

import json

import makemore
import numpy as np
import onnx
import onnx.inliner
import pytest
import torch
from makemore import _core
from makemore.errors import ExportError
from makemore.runtime.onnxruntime_library import open_library
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import mean_nll
from makemore_export.models import MODELS
from makemore_export.packing import artifact_folder, golden_samples
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.onnx_export import to_onnx
from small_runs import exported_in, trained
from test_device_decode import facts, on_device, on_host


@pytest.fixture(scope="module", params=MODELS)
def halved(request, tmp_path_factory):
    """Folder of an artifact in float16, its report, the model in float32, its held-out split."""
    return exported_in("float16", request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("file", ["model.onnx", "model.ts"])
def test_both_files_give_the_losses_of_float32_but_for_rounding(halved, file):
    folder, report, model, held_out = halved
    sampler = makemore.load(folder / file, threads=1, trust=True)
    expected = mean_nll(model, EncodedStrings(held_out, sampler.vocabulary))
    characters = sum(len(line) + 1 for line in held_out)
    loss = -sampler.score(held_out).sum() / characters
    assert loss == pytest.approx(expected, abs=2e-3)
    assert report.float16_losses == {"test": pytest.approx(loss, abs=2e-3)}


def test_what_is_written_says_that_it_is_float16(halved):
    folder, report, model, _ = halved
    artifact = makemore.load(folder).artifact
    assert artifact.model.precision == "float16"
    assert {spec.dtype for spec in artifact.states} == {
        "int64" if spec.dtype == "int64" else "float16" for spec in model.states()
    }
    written = json.loads((folder / "report.json").read_text())
    assert written["float16_losses"] == report.float16_losses
    card = (folder / "README.md").read_text()
    assert f", float16 |\n| characters | {len(artifact.tokens)} |" in card
    assert "| test in float16, all lines | " in card


def test_the_weights_take_half_the_bytes_and_run_in_kernels(halved):
    folder, _, model, _ = halved
    proto = onnx.load(folder / "model.onnx")
    sizes = dict.fromkeys((onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16), 0)
    for weight in proto.graph.initializer:
        if weight.data_type in sizes:
            sizes[weight.data_type] += int(np.prod(weight.dims))
    weights = [w for w in model.state_dict().values() if w.is_floating_point()]
    assert sizes[onnx.TensorProto.FLOAT] <= 4  # constants of an operator
    # Less where an embedding and what reads it are one table.
    assert sizes[onnx.TensorProto.FLOAT16] > 0.5 * sum(w.numel() for w in weights)
    fastest = next(iter(_core.kernels()), "")
    assert _core.OnnxModel(open_library(), folder / "model.onnx").kernel == fastest


@pytest.mark.parametrize("options", [{}, {"temperature": 0.8, "top_k": 9, "top_p": 0.9}], ids=str)
def test_a_decode_on_a_device_makes_the_samples_of_the_host(halved, options):
    file = halved[0] / "model.onnx"
    made = on_device(file).sample_ids(1000, seed=5, batch_size=256, **options)
    expected = on_host(file).sample_ids(1000, seed=5, **options)
    assert facts(made) == facts(expected)
    # ONNX Runtime 1.20 sums a row alone in another order than several; float16 makes more of it.
    nats = ([sample.log_prob for sample in samples] for samples in (made, expected))
    np.testing.assert_allclose(*nats, atol=1e-3)


def test_golden_samples_hang_on_no_bit_that_float16_rounds(halved):
    folder, *_ = halved
    sampler = makemore.load(folder)
    golden, step = sampler.artifact.golden, sampler.new_step()
    assert golden.strings
    for row, string in enumerate(golden.strings):
        step.reset(1)
        for position, token in enumerate([0, *sampler.vocabulary.encode(string)]):
            logits = step.run(np.array([token]), np.array([position]))[0].astype(float)
            cdf = np.cumsum(np.exp(logits - logits.max()))
            coin = _core.coin(golden.seed, row, position)
            assert np.abs(cdf / cdf[-1] - coin).min() > 1e-3


def test_where_all_samples_hang_on_rounding_there_are_none(tmp_path, monkeypatch):
    source = trained(tmp_path / "run", "bigram")
    monkeypatch.setitem(golden_samples._MARGIN, "float16", 0.5)
    report = export(source, tmp_path / "artifact", precision="float16")
    assert [check.golden for check in report.verification] == [0, 0]
    assert makemore.load(tmp_path / "artifact").artifact.golden.strings == ()
    assert "Samples, seed" not in (tmp_path / "artifact" / "README.md").read_text()


def other_weights(step, artifact):
    """An exporter gone wrong."""
    step.model.logits += torch.rand_like(step.model.logits)
    return to_onnx(step, artifact)


def test_a_wrong_file_in_float16_is_a_mismatch(tmp_path, monkeypatch):
    source = trained(tmp_path / "run", "bigram")
    monkeypatch.setitem(
        artifact_folder.MODEL_FILES, "model.onnx", lambda s, a, _: other_weights(s, a)
    )
    with pytest.raises(ExportError, match=r"model\.onnx: logit .* is off by .* limit is 0\.1"):
        export(source, tmp_path / "artifact", precision="float16")
    assert not (tmp_path / "artifact").exists()


def test_a_text_that_is_not_at_hand_leaves_the_loss_untold(tmp_path):
    source = trained(tmp_path / "run", "bigram")
    assert export(source, tmp_path / "artifact", precision="float16").float16_losses is None
    assert "in float16" not in (tmp_path / "artifact" / "README.md").read_text()


def test_what_a_blend_hardly_expects_stays_possible(tmp_path):
    source = trained(tmp_path / "run", "blend", parts=(("bigram", {}), ("bigram", {})))
    for name, table in source.weights.items():
        if name.endswith("logits"):
            table[:, :] = -20  # exp(-20) is 2e-9
            table[:, 0] = 0
            table[:, 1] = -torch.inf
    export(source, tmp_path / "artifact", precision="float16")
    for file in ("model.onnx", "model.ts"):
        sampler = makemore.load(tmp_path / "artifact" / file, trust=True)
        scores = sampler.score(sampler.artifact.tokens[1:3])
        assert scores == pytest.approx(-20, abs=0.01)
        assert sampler.score(sampler.artifact.tokens[:1]) == -np.inf
    # ONNX Runtime may well calculate in float32 on a CPU what is to be float16 on a GPU.
    inlined = onnx.inliner.inline_local_functions(onnx.load(tmp_path / "artifact" / "model.onnx"))
    proto = onnx.shape_inference.infer_shapes(inlined)
    types = {value.name: value.type.tensor_type.elem_type for value in proto.graph.value_info}
    read = {types[node.input[0]] for node in proto.graph.node if node.op_type == "Softmax"}
    assert read == {onnx.TensorProto.FLOAT}
