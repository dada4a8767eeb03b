"""Files that lie about themselves: refused when they are loaded, before anything is computed."""

from __future__ import annotations

import makemore
import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from makemore import ArtifactError
from makemore.artifact import METADATA_KEY
from msgspec.structs import replace
from tiny_artifacts import FOLDER

FUSED = FOLDER / "fused" / "model.onnx"


def refuse(path, message):
    with pytest.raises(ArtifactError, match=message) as caught:
        makemore.load(path)
    assert "\n" not in str(caught.value)


def save_transformer(folder, declared, rows):
    """The fused artifact with logits `declared` wide, but an embedding and a head of `rows` rows."""
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


@pytest.mark.parametrize(("declared", "rows"), [(2, 4096), (3, 5), (4, 5)])
def test_a_transformer_with_more_rows_than_declared_logits_is_refused(tmp_path, declared, rows):
    refuse(
        save_transformer(tmp_path, declared, rows),
        f"logits is declared {declared} wide, but .* give {rows} logits",
    )


def test_a_transformer_with_as_many_rows_as_declared_logits_loads(tmp_path):
    sampler = makemore.load(save_transformer(tmp_path, 7, 7))
    assert len(sampler.sample(10, seed=1)) == 10
