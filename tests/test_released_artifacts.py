"""Artifacts that exist keep working: every schema loads, every golden sample replays."""

from pathlib import Path

import makemore
import pytest
import tiny_models
from tiny_artifacts import build

ARTIFACTS = sorted(Path(__file__).parent.glob("artifacts/schema-*/*"))


@pytest.mark.parametrize(
    "folder", ARTIFACTS, ids=lambda folder: f"{folder.parent.name}-{folder.name}"
)
@pytest.mark.parametrize("threads", [1, 2])
def test_an_artifact_of_any_schema_replays_its_golden_samples(folder, threads):
    sampler = makemore.load(folder, threads=threads)
    golden = sampler.artifact.golden
    assert len(golden.strings) > 0
    assert (
        tuple(sampler.sample(len(golden.strings), min_length=0, seed=golden.seed)) == golden.strings
    )


def test_there_is_an_artifact_of_every_schema_so_far():
    schemas = {folder.parent.name for folder in ARTIFACTS}
    assert schemas == {f"schema-{i}" for i in range(1, makemore.artifact.SCHEMA + 1)}


def test_fields_that_a_later_version_added_are_passed_over(tmp_path):
    model = build(tiny_models.BIGRAM)
    (metadata,) = model.metadata_props
    metadata.value = metadata.value.replace('"type":', '"later":[1],"type":')
    metadata.value = metadata.value.replace('{"schema":', '{"later":{"a":null},"schema":')
    assert metadata.value.count('"later"') == 2
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    sampler = makemore.load(tmp_path)
    golden = sampler.artifact.golden
    assert (
        tuple(sampler.sample(len(golden.strings), min_length=0, seed=golden.seed)) == golden.strings
    )
