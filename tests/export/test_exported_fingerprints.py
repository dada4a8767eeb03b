"""What an export stores of the lines, and tells of the strings that the model makes most often."""

import json

import makemore
import pytest
from commands import run
from makemore import OptionError
from makemore.commands.inspect import describe_artifact
from makemore.fingerprints import stored_bytes
from makemore_export.commands.export import main as mm_export
from makemore_export.packing.artifact_folder import export
from small_runs import LINES, trained


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run") / "run", "ngram")


@pytest.mark.parametrize("file", ["model.onnx", "model.ts"])
def test_novel_strings_are_no_lines(source, tmp_path, file):
    report = export(source, tmp_path / "artifact", lines=LINES)
    assert report.fingerprints == len({*LINES})
    sampler = makemore.load(tmp_path / "artifact" / file, trust=True)
    assert {*sampler.sample(300, seed=1)} & {*LINES}
    assert not {*sampler.sample(300, seed=1, novel=True)} & {*LINES}
    card = (tmp_path / "artifact" / "README.md").read_text()
    assert (
        f"| fingerprints of lines | {len({*LINES})}, {stored_bytes(len({*LINES}))} bytes |" in card
    )
    report = describe_artifact(tmp_path / "artifact" / file, sampler, trust=True)
    assert report["fingerprints of lines"] == len({*LINES})


def test_too_many_lines_for_fingerprints_are_said(source, tmp_path, monkeypatch):
    monkeypatch.setattr("makemore_export.packing.artifact_folder.MAX_LINES", 3)
    monkeypatch.setattr("makemore_export.commands.run_export.MAX_LINES", 3)
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")
    out = run(mm_export, tmp_path / "lines.txt", "-o", tmp_path / "a", "--model", "bigram")[0]
    said = f"no fingerprints of the {len({*LINES})} lines, of which at most 3 are kept"
    assert said in out


@pytest.mark.parametrize("options", [{"lines": None}, {"lines": LINES, "fingerprints": False}])
def test_without_fingerprints_novel_says_so(source, tmp_path, options):
    assert export(source, tmp_path / "artifact", **options).fingerprints == 0
    with pytest.raises(OptionError, match="export it without --no-fingerprints"):
        makemore.load(tmp_path / "artifact").sample(1, novel=True)
    assert "| fingerprints of lines | none |" in (tmp_path / "artifact" / "README.md").read_text()


def test_the_card_lists_the_likeliest_strings_and_which_are_lines(source, tmp_path):
    export(source, tmp_path / "artifact", lines=LINES)
    found = makemore.load(tmp_path / "artifact").most_likely(20)
    card = (tmp_path / "artifact" / "README.md").read_text()
    for text, p in zip(found.strings, found.probabilities, strict=True):
        assert f"| {text} | {p:.3%} | {'yes' if text in LINES else 'no'} |" in card
    report = json.loads((tmp_path / "artifact" / "report.json").read_text())
    assert [each["text"] for each in report["most_likely"]] == found.strings
