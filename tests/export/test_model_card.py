"""The model card stays Markdown whatever the data hold."""

from __future__ import annotations

import json
import re

import pytest
from commands import run
from makemore.artifact import Golden
from makemore_export.commands.inspect import main as mm_inspect
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.eager import describe
from makemore_export.packing.model_card import Report, model_card
from makemore_export.packing.verification import Verification
from msgspec.structs import replace
from small_runs import trained


@pytest.fixture(scope="module")
def bigram(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), "bigram")


def card_of(source, *, name="text.txt", strings=("a",), files=("model.onnx", "model.ts")) -> str:
    run = replace(source.run, data=replace(source.run.data, name=name))
    artifact = describe(run, source.progress, source.run.new_model())
    check = Verification(
        file="model.onnx", batch_sizes=(1,), positions=1, logits=1, largest_difference=0, golden=1
    )
    report = Report(
        finished=True,
        losses={"train": 1.0},
        novelty=None,
        verification=(check,),
        sha256=dict.fromkeys(files, "0"),
    )
    return model_card(replace(artifact, golden=Golden(seed=3, strings=strings)), report)


@pytest.mark.parametrize("name", ["a|b.txt", "`a`|`.txt", "a\\|b", "a\nb|c", "[a](b)*<br>"])
def test_a_name_with_signs_of_markdown_stays_in_its_cell_as_it_is(bigram, name):
    card = card_of(bigram, name=name)
    (row,) = [line for line in card.splitlines() if line.startswith("| data |")]
    _, _, cell, _ = re.split(r"(?<!\\)(?:\\\\)*\|", row)
    shown = re.sub(r"\\(.)", r"\1", cell)
    assert shown.startswith(f" {' '.join(name.split())}, ")
    assert re.sub(r"\\.", "", cell).isprintable()
    assert not set(re.sub(r"\\.", "", cell)) & set("`|<*[")
    title = card.splitlines()[0]
    assert re.sub(r"\\(.)", r"\1", title) == f"# bigram trained on {' '.join(name.split())}"


@pytest.mark.parametrize("strings", [("```", "a"), ("x ````` y", "```text"), ("`",), ("|",)])
def test_samples_with_back_ticks_stay_in_their_fence(bigram, strings):
    lines = card_of(bigram, strings=strings).splitlines()
    first = lines.index("Samples, seed 3:") + 2
    fence = lines[first].removesuffix("text")
    assert set(fence) == {"`"}
    # A fence ends at the first line of at least as many back-ticks and nothing else.
    closing = next(
        i
        for i, line in enumerate(lines[first + 1 :], first + 1)
        if set(line.strip()) == {"`"} and len(line.strip()) >= len(fence)
    )
    assert tuple(lines[first + 1 : closing]) == strings


def test_the_card_warns_of_the_program_in_model_ts(bigram):
    assert "`model.ts` is a program, which PyTorch runs when it loads it" in card_of(bigram)
    assert "model.ts" not in card_of(bigram, files=["model.onnx"])


def test_the_parts_of_a_blend_are_short_texts(tmp_path):
    source = trained(tmp_path / "run", "blend")
    export(source, tmp_path / "artifact")
    first, second = source.progress.fitted["weights"]
    parts = {
        "part 1": "gru (n_layer 1, n_embd 8, n_hidden 8, dropout 0.0)",
        "part 2": "ngram (order 3, method kneser-ney, smoothing none)",
    }
    shown = ", ".join(f"{name} {text}" for name, text in parts.items())
    card = (tmp_path / "artifact" / "README.md").read_text()
    assert f"| model | blend: {shown}, weights {first:.4g} and {second:.4g} |" in card
    for folder in ("artifact", "run"):
        out, _ = run(mm_inspect, tmp_path / folder)
        for name, text in parts.items():
            assert re.search(f"^(config)? +{name}: {re.escape(text)}$", out, re.MULTILINE)
        assert json.loads(run(mm_inspect, tmp_path / folder, "--json")[0])["config"]["parts"]
