"""Models over words: what is unknown is learned and scored, and never made."""

from __future__ import annotations

import json
from itertools import chain, product

import makemore
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from makemore.errors import DataError, OptionError
from makemore.vocabulary import STOP
from makemore.word_vocabulary import WordVocabulary, words
from makemore_export.commands.export import main as mm_export
from makemore_export.commands.train import main as mm_train
from makemore_export.data.encoded_strings import PADDING, EncodedStrings
from makemore_export.data.text import read_text
from makemore_export.packing import golden_samples
from makemore_export.packing.eager import describe, eager_sampler
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.training.plan import plan

LINES = [
    f"{name}, {adjective}  {noun} {verb}."
    for name, adjective, noun, verb in product(
        ("Ann", "Bob", "O'Neil"),
        ("the old", "a grey", "the"),
        ("cat", "crow", "horse"),
        ("sat", "ran away", "sang", "will not stay"),
    )
]
SIZE = 12  # of 21 words and marks: every line but a few has an unknown one
SMALL = ["--level", "word", "--vocab-size", str(SIZE), "--device", "cpu"]
MODELS = {
    "bigram": [],
    "gru": ["--n-embd", "8", "--n-hidden", "8", "--max-steps", "30"],
    "transformer": ["--n-embd", "8", "--n-layer", "1", "--block-size", "130", "--max-steps", "30"],
}


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("\n".join(LINES))


def run(command, *arguments, code=0):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module", params=MODELS)
def made(request, tmp_path_factory):
    """The report of an export, the artifact's folder, and the checkpoint of its model."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "text.txt").write_text("\n".join(LINES))
    command = [str(folder / "text.txt"), "-o", str(folder / "out"), "--model", request.param]
    report = json.loads(run(mm_export, *command, *SMALL, *MODELS[request.param], "--json").stdout)[
        "report"
    ]
    return report, folder / "out", RunFolder(folder / "out.run").latest()


def planned(tmp_path, **options):
    settings = {"model": "transformer", "percents": (80.0, 10.0, 10.0), "options": {}}
    settings |= {"keep_duplicates": False, "seed": 1, "level": "word", **options}
    return plan(read_text(tmp_path / "text.txt"), **settings)


def test_the_vocabulary_is_of_the_most_frequent_words_of_train_alone(tmp_path):
    run, splits = planned(tmp_path, vocab_size=SIZE)
    assert (run.level, run.tokens) == ("word", WordVocabulary.of(splits["train"], SIZE).tokens)
    assert len(run.tokens) == SIZE < len({*chain(*map(words, LINES))})
    everything, splits = planned(tmp_path, percents=(2.0, 98.0, 0.0))
    assert set(everything.tokens) == {*chain(*map(words, splits["train"]))}


def test_strings_are_words_and_unknown_ones_are_one_token(tmp_path):
    vocabulary = WordVocabulary([" the", " cat", "."])
    inputs, targets = EncodedStrings(["the old cat.", "cat"], vocabulary).batch(
        torch.tensor([0, 1])
    )
    assert inputs.tolist() == [[STOP, 1, 4, 2, 3], [STOP, 2, STOP, STOP, STOP]]
    assert targets.tolist() == [[1, 4, 2, 3, STOP], [2, STOP, PADDING, PADDING, PADDING]]


def test_unknown_is_never_made_and_all_engines_make_the_same(made):
    _, folder, source = made
    model = source.run.new_model()
    model.load_state_dict(source.weights)
    eager = eager_sampler(model, describe(source.run, source.progress, model))
    samplers = [
        eager,
        makemore.load(folder / "model.onnx"),
        makemore.load(folder / "model.ts", trust=True),
    ]
    first, *others = [sampler.sample_ids(200, seed=3) for sampler in samplers]
    for other in others:
        assert [sample.text for sample in other] == [sample.text for sample in first]
    ids = {*chain(*(sample.ids.tolist() for sample in first))}
    assert len(ids) > 5
    assert ids <= set(range(1, SIZE + 1))
    assert any(eager.vocabulary.unknown in eager.vocabulary.encode(line) for line in LINES)


def test_scores_count_the_probability_of_unknown_as_the_trainer_does(made):
    report, folder, source = made
    _, splits = planned(folder.parent, vocab_size=SIZE)
    sampler = makemore.load(folder)
    tokens = sum(len(words(line)) + 1 for line in splits["test"])
    nll = -sampler.score(splits["test"]).sum() / tokens
    assert nll == pytest.approx(report["losses"]["test"], abs=1e-5)
    assert source.progress.losses == report["losses"]


def test_the_golden_seed_keeps_farthest_from_the_steps_of_the_cdf_without_unknown(made):
    _, folder, _ = made
    sampler = makemore.load(folder, threads=1)
    golden = sampler.artifact.golden
    margins = [_margin(sampler, seed) for seed in range(golden_samples._GOLDEN_SEEDS)]
    assert golden.seed == np.argmax(margins)


def _margin(sampler, seed):
    """Least distance of a coin to a step of its CDF, over golden samples of a seed."""
    step, margin = sampler.new_step(), 1.0
    for sample in sampler.sample_ids(len(sampler.artifact.golden.strings), seed=seed):
        step.reset(1)
        fed = [STOP, *sample.ids.tolist()]
        for position in range(len(fed) - (sample.finish_reason == "length")):
            logits = step.run(np.array([fed[position]]), np.array([position]))[0]
            weights = np.exp(logits.astype(float))
            weights[sampler.vocabulary.unknown] = 0
            cdf = weights.cumsum() / weights.sum()
            coin = makemore._core.coin(seed, sample.row, position)
            margin = min(margin, np.abs(cdf - coin).min())
    return margin


def test_what_is_told_is_told_in_words(made):
    _, folder, _ = made
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"| words | {SIZE} |" in card
    assert "nats per word" in card
    assert "per character" not in card


def test_a_run_of_words_goes_on_as_it_began(tmp_path):
    command = ["text.txt", "-o", "run", "--model", "bigram"]
    began = run(mm_train, *command, *SMALL).stderr.splitlines()[0]
    assert began.endswith(f"; {SIZE} words")
    run(mm_train, *command, "--resume")
    for option, value, change in [
        ("--vocab-size", "7", f"vocab_size {SIZE}, now 7"),
        ("--level", "character", "level word, now character"),
    ]:
        refusal = run(mm_train, *command, "--resume", option, value, code=2).stderr
        assert change in refusal


def test_a_line_of_more_words_than_a_block_holds_is_refused_by_number(tmp_path):
    (tmp_path / "text.txt").write_text("one\n" * 9 + "a " * 256)
    with pytest.raises(DataError, match="line 10 has 256 words; a block of 256 holds 255"):
        planned(tmp_path, options={"block_size": 256}, keep_duplicates=True)
    run, _ = planned(tmp_path, options={"block_size": 257}, keep_duplicates=True)
    assert run.max_length == 256
    assert planned(tmp_path, keep_duplicates=True)[0].config["block_size"] == 257


def test_a_vocabulary_size_is_for_words(tmp_path):
    with pytest.raises(OptionError, match="--vocab-size 9 is for --level word"):
        planned(tmp_path, level="character", vocab_size=9)
