"""Files that lie about themselves: refused when they are loaded, before anything is computed."""

from __future__ import annotations

import makemore
import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import tiny_artifacts
from makemore import ArtifactError, OrtError
from makemore.artifact import METADATA_KEY
from msgspec.structs import replace
from tiny_artifacts import FOLDER

FUSED = FOLDER / "fused" / "model.onnx"


def refuse(path, message):
    with pytest.raises(ArtifactError, match=message) as caught:
        makemore.load(path)
    assert "\n" not in str(caught.value)


def save_transformer(folder, declared, rows):
    """The fused artifact with logits `declared` wide, over an embedding and a head of `rows`."""
    model = onnx.load(FUSED)
    node = model.graph.node[0]
    constants = {constant.name: constant for constant in model.graph.initializer}
    for name in (node.input[6], node.input[-1]):  # the first and the last of its parameters
        values = np.resize(onnx.numpy_helper.to_array(constants[name]), (rows, 16))
        constants[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = declared
    tokens = tuple(map(chr, range(0x4E00, 0x4E00 + declared - 1)))
    artifact = replace(makemore.load(FUSED).artifact, tokens=tokens)
    onnx.helper.set_model_props(model, {METADATA_KEY: artifact.to_json()})
    onnx.save(model, folder / "model.onnx")
    return folder


@pytest.mark.parametrize(("declared", "rows"), [(2, 4096), (3, 5), (4, 5), (2000, 5), (6, 5)])
def test_a_transformer_with_other_rows_than_declared_logits_is_refused(tmp_path, declared, rows):
    refuse(
        save_transformer(tmp_path, declared, rows),
        f"logits is declared {declared} wide, but .* give {rows} logits",
    )


def test_a_transformer_with_as_many_rows_as_declared_logits_loads(tmp_path):
    sampler = makemore.load(save_transformer(tmp_path, 7, 7))
    assert len(sampler.sample(10, seed=1)) == 10


# The number of columns that Compress keeps is known when it runs, and not before.
COMPRESSED = """step (int64[B] token, int64[B] position) => (float[B, {width}] logits) {{
  wide = Gather (table, token)
  logits = Compress <axis = 1> (wide, kept)
}}"""


@pytest.mark.parametrize("width", [2, 1000, 2000])
def test_logits_of_another_width_than_declared_are_refused_at_the_step(tmp_path, width):
    table, kept = np.zeros((1000, 1000), np.float32), np.ones(1000, bool)
    model = tiny_artifacts.parse(COMPRESSED.format(width=width), table=table, kept=kept)
    tokens = tuple(map(chr, range(0x4E00, 0x4E00 + width - 1)))
    onnx.helper.set_model_props(model, {METADATA_KEY: tiny_artifacts.metadata(tokens).to_json()})
    onnx.save(model, tmp_path / "model.onnx")
    sampler = makemore.load(tmp_path)
    step = sampler.new_step()
    step.reset(2)
    if width == 1000:
        assert step.run([0, 1], [0, 0]).shape == (2, width)
        return
    for use in (lambda: step.run([0, 1], [0, 0]), lambda: sampler.sample(3)):
        with pytest.raises(OrtError, match=r"a step failed: .*shape"):
            use()
