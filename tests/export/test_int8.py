"""Artifacts with matrices in int8: a quarter of their bytes, the model that they say."""

from __future__ import annotations

import json

import makemore
import onnx
import pytest
import torch
from commands import run
from makemore import _core
from makemore.errors import OptionError
from makemore.runtime.onnxruntime_library import open_library
from makemore_export.commands.export import main as mm_export
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import mean_nll
from makemore_export.models import MODELS
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.precision import in_precision, matrices, quantized
from small_runs import LINES, exported_in, trained
from test_device_decode import facts, on_device, on_host

LOOKUPS = ("bigram", "ngram", "neural-bigram")
FLOAT, INT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT8


@pytest.fixture(scope="module", params=[name for name in MODELS if name not in LOOKUPS])
def rounded(request, tmp_path_factory):
    """Folder of an artifact in int8, its report, the model in float32, its held-out split."""
    return exported_in("int8", request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("file", ["model.onnx", "model.ts"])
def test_both_files_give_the_losses_of_the_rounded_model(rounded, file):
    folder, report, model, held_out = rounded
    sampler = makemore.load(folder / file, threads=1, trust=True)
    strings = EncodedStrings(held_out, sampler.vocabulary)
    expected = mean_nll(in_precision(model, "int8"), strings)
    characters = sum(len(line) + 1 for line in held_out)
    assert -sampler.score(held_out).sum() / characters == pytest.approx(expected, abs=1e-6)
    assert report.int8_losses == {"test": pytest.approx(expected, abs=1e-6)}
    assert expected == pytest.approx(mean_nll(model, strings), abs=2e-3)


def test_it_is_compared_with_the_rounded_model(rounded):
    _, report, *_ = rounded
    assert all(check.largest_difference < 5e-4 for check in report.verification)
    assert all(check.golden > 0 for check in report.verification)


def test_what_is_written_says_that_it_is_int8(rounded):
    folder, report, model, _ = rounded
    artifact = makemore.load(folder).artifact
    assert artifact.model.precision == "int8"
    assert artifact.states == model.states()
    written = json.loads((folder / "report.json").read_text())
    assert written["int8_losses"] == report.int8_losses
    assert written["float16_losses"] is None
    assert "| test in int8, all lines | " in (folder / "README.md").read_text()


def test_all_matrices_are_int8_and_kernels_run_them(rounded):
    folder, *_ = rounded
    proto = onnx.load(folder / "model.onnx")
    bytes_of = {tensor.name: tensor for tensor in proto.graph.initializer}
    dequantized = [node for node in proto.graph.node if node.op_type == "DequantizeLinear"]
    for node in dequantized:
        numbers, scales = (bytes_of[name] for name in node.input)
        assert (numbers.data_type, scales.data_type) == (INT8, FLOAT)
        assert list(scales.dims) == list(numbers.dims)[:1]
    floats = [name for name, tensor in bytes_of.items() if tensor.data_type == FLOAT]
    left = [
        name for name in floats if name.endswith(("head.weight", "weight_hh_l0", "mlp_up.weight"))
    ]
    assert dequantized
    assert not left
    fastest = next(iter(_core.kernels()), "")
    assert _core.OnnxModel(open_library(), folder / "model.onnx").kernel == fastest


@pytest.mark.parametrize("options", [{}, {"temperature": 0.8, "top_k": 9, "top_p": 0.9}], ids=str)
def test_a_decode_on_a_device_makes_the_samples_of_the_host(rounded, options):
    file = rounded[0] / "model.onnx"
    made = on_device(file).sample_ids(1000, seed=5, batch_size=256, **options)
    expected = on_host(file).sample_ids(1000, seed=5, **options)
    assert facts(made) == facts(expected)


def test_each_row_is_as_near_as_whole_multiples_of_its_scale_are():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(50, 30, generator=generator) * torch.logspace(-30, 30, 50)[:, None]
    numbers, scales = quantized(weight)
    assert ((numbers == numbers.round()) & (numbers.abs() <= 127)).all()
    assert (numbers.abs().amax(1) == 127).all()
    apart = (numbers * scales[:, None] - weight).abs().amax(1)
    assert (apart <= 0.501 * scales).all()


def test_rounding_twice_changes_nothing():
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(500, 40, generator=generator)
    numbers, scales = quantized(weight)
    again = quantized(numbers * scales[:, None])
    torch.testing.assert_close(again, (numbers, scales), rtol=0, atol=0)
    exact = numbers.double() * scales[:, None].double()
    assert torch.equal(exact.float().double(), exact)


def test_rows_of_zeros_stay_zeros():
    numbers, scales = quantized(torch.zeros(3, 4))
    assert not numbers.any()
    assert (scales == 1).all()


@pytest.mark.parametrize("model", LOOKUPS)
def test_a_model_of_tables_has_nothing_to_round(tmp_path, model):
    source = trained(tmp_path / "run", model)
    assert not [*matrices(source.run.new_model())]
    with pytest.raises(OptionError, match="int8 is for models with matrices"):
        export(source, tmp_path / "artifact", precision="int8")
    assert not (tmp_path / "artifact").exists()


def test_a_blend_of_tables_alone_is_refused_before_it_is_trained(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")
    words = ["-o", tmp_path / "out", "--part", "ngram", "--part", "bigram", "--int8"]
    _, told = run(mm_export, tmp_path / "lines.txt", *words, code=2)
    assert "--int8 is for models with matrices; ngram, bigram has tables only" in told
    assert not (tmp_path / "out.run").exists()


def test_two_precisions_are_one_too_many(tmp_path):
    _, told = run(mm_export, "-o", tmp_path / "out", "--int8", "--half", code=2)
    assert "--half and --int8 are two precisions; take one" in told


def test_labels_may_be_in_int8(tmp_path):
    lines = [f"{'xy'[i % 2]}\t{line}" for i, line in enumerate(LINES)]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    words = ["--labels", "--model", "gru", "--n-hidden", "8", "--max-steps", "5", "--int8"]
    run(mm_export, tmp_path / "lines.txt", "-o", tmp_path / "out", *words)
    sampler = makemore.load(tmp_path / "out")
    assert sampler.artifact.model.precision == "int8"
    assert len(sampler.sample(3, seed=1, label="x")) == 3
    weights = onnx.load(tmp_path / "out" / "model.onnx").graph.initializer
    assert sum(weight.data_type == INT8 for weight in weights) == 2
