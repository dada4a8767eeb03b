"""Texts in any script: what comes out is what went in, through every file and command."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import makemore
import pytest
from click.testing import CliRunner
from makemore.commands.sample import sample
from makemore.commands.score import score
from makemore_export.commands.export import main as mm_export
from makemore_export.commands.inspect import main as inspect
from test_vocabulary import round_trip

TEXTS = {
    "chinese": ("character", ("王", "李", "张", "刘𠮷"), ("小明", "大", "志文", "华")),
    "arabic": ("word", ("مُحَمَّد", "عَلِيّ", "سارة", "نور"), ("", " الدين", "، أمين", " حسن")),
    "emoji": ("character", ("👩‍👩‍👧‍👦", "👍🏽", "🇮🇳", "❤️"), ("", "👨‍🚀", "1️⃣☕", "e\u0301")),
    "hindi": ("word", ("नमस्ते", "क्षेत्र", "हिन्दी", "ज्ञान"), ("", " जी", "ं", "ः, नमस्ते!")),
}
"""A level, and the beginnings and the ends of the lines."""


@pytest.fixture(scope="module", params=TEXTS)
def exported(request, tmp_path_factory):
    """An artifact of one of the texts, and the lines of that text."""
    folder = tmp_path_factory.mktemp(request.param)
    level, beginnings, ends = TEXTS[request.param]
    lines = [beginning + end for beginning in beginnings for end in ends]
    (folder / "文.txt").write_text("\n".join(lines), encoding="utf-8")
    command = [str(folder / "文.txt"), "-o", str(folder / "نموذج"), "--level", level]
    options = ["--model", "bigram", "--smoothing", "0.01", "--device", "cpu"]
    result = CliRunner().invoke(mm_export, [*command, *options])
    assert result.exit_code == 0, result.output
    return folder / "نموذج", lines


def run(command, *arguments, stdin=None):
    result = CliRunner().invoke(command, [str(a) for a in arguments], input=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_lines_come_back_and_every_character_of_them_is_a_token(exported):
    folder, lines = exported
    vocabulary = makemore.load(folder).vocabulary
    known = [line for line in lines if "\ufffd" not in round_trip(vocabulary, [line])[0]]
    assert round_trip(vocabulary, known) == known
    assert len(known) > len(lines) / 2
    if vocabulary.level == "character":
        assert known == lines
        assert vocabulary.tokens == tuple(sorted(set("".join(lines))))


def test_both_files_make_and_score_the_same_strings(exported):
    folder, lines = exported
    onnx, torchscript = (
        makemore.load(folder / name, trust=True) for name in ("model.onnx", "model.ts")
    )
    made = onnx.sample(100, seed=5)
    assert made == torchscript.sample(100, seed=5)
    assert set("".join(made)) <= set("".join(lines)) | {" "}
    assert onnx.score(lines) == pytest.approx(torchscript.score(lines), abs=1e-4)


def test_the_commands_pass_the_text_on(exported):
    folder, lines = exported
    sampler = makemore.load(folder)
    first = lines[0][0] if sampler.artifact.level == "character" else lines[0].split()[0]
    arguments = [folder, "-n", 5, "--seed", 1, "--prefix", first]
    made = sampler.sample(5, seed=1, prefix=first)
    assert all(text.startswith(first) for text in made)
    assert run(sample, *arguments).split("\n")[:-1] == made
    printed = run(sample, *arguments, "--json").split("\n")[:-1]
    assert [json.loads(line)["text"] for line in printed] == made
    scored = run(score, folder, stdin="\n".join(lines).encode()).split("\n")[:-1]
    assert [line.split("\t")[1] for line in scored] == lines
    assert json.loads(run(inspect, folder, "--json"))["golden samples"] == {
        "replayed": 32,
        "of": 32,
    }


def test_the_model_card_is_utf8_and_shows_samples(exported):
    folder, _ = exported
    card = (folder / "README.md").read_text(encoding="utf-8")
    golden = makemore.load(folder).artifact.golden.strings
    assert "trained on 文.txt" in card
    assert "\n".join(golden[:10]) in card


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX locale")
def test_the_posix_locale_writes_and_reads_utf8(exported):
    folder, _ = exported
    sampler = makemore.load(folder)
    prefix = sampler.sample(1, seed=1)[0].split(" ")[0]
    code = "from makemore.commands.sample import sample; sample()"
    done = subprocess.run(
        [sys.executable, "-c", code, folder, "-n", "9", "--seed", "1", "--prefix", prefix],
        env={"LC_ALL": "C", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().split("\n")[:-1] == sampler.sample(9, seed=1, prefix=prefix)
