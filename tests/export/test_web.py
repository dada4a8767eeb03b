"""The package in web/ gives the strings and scores that Python gives, in Chromium too."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import makemore
import numpy as np
import pytest
from click.testing import CliRunner
from makemore import _core
from makemore.commands.sample import sample as mm_sample
from makemore.options import SampleOptions
from makemore_export.packing.artifact_folder import export
from small_runs import LINES, trained
from tiny_artifacts import FOLDER
from web_package import CHROMIUM, WEB, camel, needs_web, replayed

pytestmark = [*needs_web, pytest.mark.usefixtures("one_thread")]

SEEDS = (1, 2**40 + 7, 2**64 - 1)
TEMPERATURES = (0.7, 1.0)
ROUNDING = 1e-5
"""Two engines agree on a logit to about 1e-6: how near to an edge a coin may decide otherwise."""

FILTERS = ("matching", "wildcard", "suffix", "min_length", "not_in", "novel", "unique")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with artifacts of several kinds, some trained here."""
    folder = tmp_path_factory.mktemp("web")
    for name in ("transformer", "tokens", "labels"):
        shutil.copytree(FOLDER / "schema-3" / name, folder / name)
    shutil.copytree(FOLDER / "schema-2/words", folder / "words")
    for name in ("half", "fused", "sparse"):
        shutil.copytree(FOLDER / name, folder / name)
    shutil.copytree(FOLDER / "family/int8-lstm", folder / "int8")
    sizes = {"n_hidden": 8, "n_embd": 8, "max_steps": 12}
    models = {
        "blend": {"parts": (("lstm", sizes), ("ngram", {"order": 3}))},
        "ngram": {"order": 3},
    }
    for name, options in models.items():
        checkpoint = trained(folder / f"{name}.run", name, **options)
        export(checkpoint, folder / name, lines=LINES)
    return folder


def distance_to_edge(sampler: makemore.Sampler, options: dict[str, Any], row: int) -> float:
    """Of the coins of a row the least distance to an edge of the distribution that it decides."""
    drawn = {name: value for name, value in options.items() if name not in FILTERS}
    (sample,) = sampler.sample_ids(1, **{**drawn, "first_row": row, "min_length": 0})
    begin = len(sampler.vocabulary.prompt(options.get("prefix", "")))
    prefixes = [sample.ids[:length].tolist() for length in range(begin, len(sample.ids) + 1)]
    shares = sampler.distributions(prefixes, sampler.draw(SampleOptions(**drawn)))
    coins = [_core.coin(options["seed"], row, len(prefix)) for prefix in prefixes]
    return float(np.abs(np.cumsum(shares, axis=1) - np.array(coins)[:, None]).min())


def assert_the_same(
    sampler: makemore.Sampler, options: dict[str, Any], found: Any, n: int
) -> list[float]:
    """Compares row by row; returns the distances of the coins of those that differ."""
    assert isinstance(found, list), found
    expected = {each.row: each for each in sampler.sample_ids(n, **options)}
    rows = {int(each["row"]): each for each in found}
    assert len(rows) == len(expected) == n
    last = min(max(rows), max(expected))
    compared = {row for row in {*rows, *expected} if row <= last}
    differ = [
        row
        for row in compared
        if row not in rows
        or row not in expected
        or rows[row]["text"] != expected[row].text
        or rows[row]["ids"] != expected[row].ids.tolist()
        or rows[row]["finishReason"] != expected[row].finish_reason
    ]
    for row in compared - {*differ}:
        assert rows[row]["logProb"] == pytest.approx(expected[row].log_prob, abs=1e-3)
    return [distance_to_edge(sampler, options, row) for row in differ]


def cases(prefix: str, matching: str) -> list[dict[str, Any]]:
    asked = [{}, {"top_p": 0.9, "prefix": prefix}, {"matching": matching}]
    return [
        {"seed": seed, "temperature": temperature, **each}
        for seed in SEEDS
        for temperature in TEMPERATURES
        for each in asked
    ]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize(
    ("name", "prefix", "matching"),
    [
        ("transformer", "ma", ".*[aeiou]n?"),
        ("blend", "be", "[a-d].*(lle|ra).*"),
        ("ngram", "ca", "(?i)[^A].{2,6}"),
        ("words", "the", r".*\w \w.*"),
    ],
)
def test_1000_strings_in_chromium_are_those_of_python(artifacts, name, prefix, matching, capsys):
    sampler = makemore.load(artifacts / name)
    options = cases(prefix, matching)
    calls = [(name, "sampleIds", [1000, camel(each)]) for each in options]
    distances = []
    for each, found in zip(options, replayed(artifacts, calls, CHROMIUM), strict=True):
        distances += assert_the_same(sampler, each, found, 1000)
    with capsys.disabled():
        counted = f"{len(distances)} of {1000 * len(options)} rows differ"
        sys.stderr.write(f" {counted}, their coins off an edge by {distances}\n")
    assert all(distance < ROUNDING for distance in distances)


TEXTS = {
    "transformer": ["anna", "", "zoë", "a" * 100],
    "words": ["Ann, the old cat sat.", "O'Neil", "  the\tcrow ", "something else", ""],
    "tokens": ["", "ab"],
    "half": ["abc", "cab"],
    "int8": ["abc", "cab"],
    "fused": ["dab", "bbbb"],
    "sparse": ["😀中", "á"],
    "ngram": ["bera", "dulle"],
}


@pytest.mark.parametrize("name", TEXTS)
def test_scores_and_likeliest_strings_are_those_of_python(artifacts, name):
    sampler = makemore.load(artifacts / name)
    texts = TEXTS[name]
    near = {"rel": 1e-3 if name == "half" else 1e-4}
    scores, tokens, following, likely, some = replayed(
        artifacts,
        [
            (name, "score", [texts, {"onUnknown": "-inf"}]),
            (name, "scoreTokens", [texts[0]]),
            (name, "nextTokens", ["", {"topP": 0.9}]),
            (name, "mostLikely", [10]),
            (name, "mostLikely", [5, {"minLength": 3, "topK": 6}]),
        ],
    )
    assert [float(each) for each in scores] == pytest.approx(
        sampler.score(texts, on_unknown="-inf").tolist(), **near
    )
    assert [float(each["logProb"]) for each in tokens] == pytest.approx(
        sampler.score_tokens(texts[:1])[0].tolist(), **near
    )
    expected = sampler.next_tokens(top_p=0.9)
    assert [(each["id"], each["token"]) for each in following] == [
        (each.id, each.text) for each in expected
    ]
    assert [each["prob"] for each in following] == pytest.approx(
        [each.probability for each in expected], **near
    )
    for found, best in (
        (likely, sampler.most_likely(10)),
        (some, sampler.most_likely(5, min_length=3, top_k=6)),
    ):
        assert found["strings"] == best.strings
        assert found["probabilities"] == pytest.approx(best.probabilities.tolist(), **near)


def test_the_example_prints_what_mm_sample_prints(artifacts):
    folder = str(artifacts / "transformer")
    example = ["node", str(WEB / "examples/sample.mjs"), folder, "1000", "11"]
    printed = subprocess.run(example, check=True, capture_output=True, text=True).stdout
    expected = CliRunner().invoke(mm_sample, [folder, "-n", "1000", "--seed", "11"])
    assert expected.exit_code == 0
    assert printed == expected.stdout


def test_a_label_is_given_drawn_and_scored_as_in_python(artifacts):
    sampler = makemore.load(artifacts / "labels")
    label = sampler.artifact.labels[0]
    drawn, given, scores, of_label, following, error = replayed(
        artifacts,
        [
            ("labels", "sampleIds", [20, {"seed": "3"}]),
            ("labels", "sample", [20, {"seed": "3", "label": label, "minLength": 3}]),
            ("labels", "score", [["anna", "bob"]]),
            ("labels", "score", [["anna", "bob"], {"label": label}]),
            ("labels", "nextTokens", [""]),
            ("labels", "mostLikely", [3]),
        ],
    )
    assert [each["ids"] for each in drawn] == [
        each.ids.tolist() for each in sampler.sample_ids(20, seed=3)
    ]
    assert given == sampler.sample(20, seed=3, label=label, min_length=3)
    assert scores == pytest.approx(sampler.score(["anna", "bob"]).tolist())
    assert of_label == pytest.approx(sampler.score(["anna", "bob"], label=label).tolist())
    assert [each["token"] for each in following] == [each.text for each in sampler.next_tokens()]
    assert error["error"] == "OptionError"


def test_novel_strings_are_no_lines_of_the_training_text(artifacts):
    sampler = makemore.load(artifacts / "ngram")
    (found,) = replayed(artifacts, [("ngram", "sample", [200, {"seed": "1", "novel": True}])])
    assert found == sampler.sample(200, seed=1, novel=True)
    assert not {*found} & {*LINES}
