"""What the pictures show, and how `mm-inspect` draws those of a run."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from makemore.vocabulary import Vocabulary
from makemore.word_vocabulary import WordVocabulary
from makemore_export.commands.find_lr import keep
from makemore_export.commands.inspect import main as inspect
from makemore_export.commands.train import main as mm_train
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.eager import describe, eager_sampler
from makemore_export.plots import (
    activation_plot,
    attention_plot,
    bigram_plot,
    embedding_plot,
    learning_rate_plot,
    loss_plot,
    save_png,
    surprise_plot,
)
from makemore_export.plots.activations import activations, attention
from makemore_export.plots.counts import bigram_counts, most_frequent
from makemore_export.plots.embedding import plane, token_vectors
from makemore_export.plots.labels import drawable, token_labels
from makemore_export.plots.surprise import surprise
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.runs.records import Evaluation
from makemore_export.training.find_lr import Trial
from matplotlib.font_manager import findfont, get_font
from msgspec.structs import replace
from PIL import Image
from small_runs import LINES, trained
from tiny_artifacts import FOLDER

TEXTS = {
    "Chinese": ["中国人民", "人民大学", "北京大学"],
    "Arabic": ["مرحبا", "سلام", "بكم"],
    "emoji": ["🎉😀", "👍🏽🎉", "😀😀"],
    "Hindi": ["हिन्दी", "नमस्ते"],
    "mathematics": ["$x$", r"$\frac", "a_b^c$"],
    "invisible": ["a\u200bb", "a\u00a0b\tc", "\U000f0000\ufeffz"],
}


def drawn(figure, folder):
    """The size in pixels of a figure, drawn: whatever cannot be drawn warns, which is an error."""
    path = folder / "picture.png"
    save_png(figure, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        image.verify()
        return image.size


def restored(source):
    model = source.run.new_model().eval()
    model.load_state_dict(source.weights)
    return model


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Checkpoints of small trained models by name, from folders that bear the name."""
    folder = tmp_path_factory.mktemp("runs")
    small = {"max_steps": 3, "batch_size": 8}
    options = {
        "transformer": {"n_layer": 2},
        "lstm": {**small, "n_hidden": 6, "n_layer": 2},
        "cnn": small,
        "bigram": {"smoothing": 0.0},
    }
    return {name: trained(folder / name, name, **own) for name, own in options.items()}


def test_counts_are_those_of_a_count_by_hand():
    lines = ["abba", "ab", "b"]
    strings = EncodedStrings(lines, Vocabulary("ab"))
    pairs = Counter(chain.from_iterable(pairwise(f".{line}.") for line in lines))
    chosen = most_frequent(strings, 3)
    assert chosen.tolist() == [0, 1, 2]
    assert bigram_counts(strings, chosen, 3).tolist() == [
        [pairs[a, b] for b in ".ab"] for a in ".ab"
    ]


def test_of_many_tokens_the_most_frequent_are_counted():
    strings = EncodedStrings(["cab", "cc", "ac"], Vocabulary("abcd"))
    chosen = most_frequent(strings, 5, limit=2)
    assert chosen.tolist() == [0, 3]
    assert bigram_counts(strings, chosen, 5).tolist() == [[0, 2], [2, 1]]
    assert most_frequent(strings, 5).tolist() == [0, 1, 2, 3]


def test_the_heat_map_shows_tokens_and_counts_in_its_cells(tmp_path):
    counts = torch.tensor([[0, 25], [4, 100]])
    figure = bigram_plot(counts, ["⏎", "a"], 2, "text", "character")
    [axes] = figure.axes
    assert axes.images[0].get_array().tolist() == [[0, 5], [2, 10]]
    assert [(t.get_position(), t.get_text()) for t in axes.texts] == [
        ((0, 0), "⏎⏎\n0"),
        ((1, 0), "⏎a\n25"),
        ((0, 1), "a⏎\n4"),
        ((1, 1), "aa\n100"),
    ]
    drawn(figure, tmp_path)


def test_a_heat_map_of_many_tokens_has_colours_only_and_says_so(tmp_path):
    labels = [chr(0x4E00 + i) for i in range(61)]
    figure = bigram_plot(torch.ones(61, 61, dtype=torch.int64), labels, 3000, "text", "character")
    [axes] = figure.axes
    assert not axes.texts
    title = " ".join(axes.get_title().split())
    assert "the 61 most frequent of 3,000 tokens" in title
    assert "colours only" in title
    drawn(figure, tmp_path)


def evaluation(step, train, dev):
    losses = {"train": train} | ({} if dev is None else {"dev": dev})
    return Evaluation(model="gru", step=step, losses=losses, best=True, finished=False, seconds=1.0)


def test_loss_curves_are_the_evaluations_and_their_lowest_is_marked(tmp_path):
    log = [evaluation(250, 2.5, 2.6), evaluation(500, 2.2, 2.4), evaluation(750, 2.0, 2.5)]
    figure = loss_plot({"gru": log, "rnn": [evaluation(9, 3.0, None)]}, "title", "word")
    [axes] = figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines["gru, train"] == [[250, 2.5], [500, 2.2], [750, 2.0]]
    assert lines["gru, dev"] == [[250, 2.6], [500, 2.4], [750, 2.5]]
    assert lines["rnn, train"] == [[9, 3.0]]
    assert "rnn, dev" not in lines
    assert [text.get_text() for text in axes.texts] == ["2.0000", "2.4000", "3.0000"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps", "loss, nats per word")
    drawn(figure, tmp_path)


def test_the_loss_of_each_step_is_drawn_behind_on_a_logarithmic_axis_if_asked_for(tmp_path):
    first = replace(evaluation(3, 2.5, 2.6), step_losses=(4.0, None, 3.0))
    second = replace(evaluation(5, 2.2, 2.4), step_losses=(2.5, 2.25))
    for log_scale in (False, True):
        figure = loss_plot({"gru": [first, second]}, "title", "word", log_scale=log_scale)
        [axes] = figure.axes
        assert axes.lines[0].get_xydata().tolist() == [[1, 4], [3, 3], [4, 2.5], [5, 2.25]]
        assert axes.get_yscale() == ("log" if log_scale else "linear")
        drawn(figure, tmp_path)


def test_a_sweep_is_drawn_over_the_logarithm_of_the_rate(tmp_path):
    points = [(1e-5, 3.0), (1e-3, 2.0), (1e-1, 90.0)]
    figure = learning_rate_plot(points, 1e-3)
    [axes] = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.lines[0].get_xydata().tolist() == [list(point) for point in points]
    assert axes.lines[1].get_xdata() == [1e-3, 1e-3]
    assert axes.get_ylim()[1] < 90
    drawn(figure, tmp_path)


def distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_two_dimensions_are_drawn_as_they_are():
    vectors = np.random.default_rng(1).normal(size=(7, 2))
    points, axes = plane(vectors)
    assert (points == vectors).all()
    assert axes == ["first dimension", "second dimension"]


def test_components_keep_the_distances_of_a_plane_in_space():
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(9, 2))
    basis, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    points, axes = plane(flat @ basis[:2] + rng.normal(size=5))
    np.testing.assert_allclose(distances(points), distances(flat), atol=1e-12)
    shares = [int(axis.partition(", ")[2].partition("%")[0]) for axis in axes]
    assert sum(shares) == 100
    assert shares[0] > shares[1]


def test_one_dimension_is_drawn_on_a_line(tmp_path):
    vectors = np.array([[1.0], [3.0], [2.0]])
    points, _ = plane(vectors)
    np.testing.assert_allclose(distances(points), distances(vectors))
    drawn(embedding_plot(vectors, ["⏎", "a", "b"], "title"), tmp_path)


def test_letters_stand_where_the_model_puts_them(runs, tmp_path):
    model = restored(runs["transformer"])
    vectors = token_vectors(model)
    np.testing.assert_array_equal(vectors, model.token_embedding.weight.detach().double())
    labels = token_labels(runs["transformer"].run.vocabulary)
    figure = embedding_plot(vectors, labels, "title")
    points, _ = plane(vectors)
    [axes] = figure.axes
    shown = {text.get_text(): text.get_position() for text in axes.texts}
    assert shown == {label: tuple(point) for label, point in zip(labels, points, strict=True)}
    drawn(figure, tmp_path)
    assert token_vectors(restored(runs["bigram"])) is None


@pytest.mark.parametrize("name", ["transformer", "lstm", "cnn"])
def test_the_bars_of_a_string_add_up_to_its_score(runs, name, tmp_path):
    source = runs[name]
    model, vocabulary = restored(source), source.run.vocabulary
    values = surprise(model, vocabulary.encode("dora"))
    [score] = eager_sampler(model, describe(source.run, source.progress, model)).score(["dora"])
    assert values.sum() == pytest.approx(-score / math.log(2), rel=1e-5)
    figure = surprise_plot(values, [*"dora", "⏎"], len(vocabulary), "title", "character")
    [axes] = figure.axes
    assert [bar.get_height() for bar in axes.patches] == values.tolist()
    assert axes.lines[0].get_ydata() == pytest.approx([math.log2(len(vocabulary))] * 2)
    drawn(figure, tmp_path)


def test_an_impossible_token_is_endless(runs, tmp_path):
    source = runs["bigram"]
    values = surprise(restored(source), source.run.vocabulary.encode("aa"))
    assert values[1] == np.inf
    figure = surprise_plot(values, ["a", "a", "⏎"], 12, "title", "character")
    assert [text.get_text() for text in figure.axes[0].texts][1] == "∞"
    drawn(figure, tmp_path)


def test_attention_is_the_softmax_over_what_was_read(runs, tmp_path):
    model = restored(runs["transformer"])
    ids = runs["transformer"].run.vocabulary.encode("dora")
    weights = attention(model, ids)
    assert weights.shape == (2, 2, 5, 5)
    x = model.token_embedding.weight[[0, *ids]] + model.position_embedding.weight[:5]
    for layer, block in enumerate(model.blocks):
        query, key, _ = block.attention(block.ln_1(x)).split(8, dim=-1)
        for head, columns in enumerate((slice(0, 4), slice(4, 8))):
            for i in range(5):
                scores = (key[: i + 1, columns] * query[i, columns]).sum(1) / math.sqrt(4)
                row = torch.cat([scores.softmax(0), torch.zeros(4 - i)])
                torch.testing.assert_close(weights[layer, head, i], row)
        x = block(x[None])[0]
    figure = attention_plot(weights, ["⏎", *"dora"], "title")
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        f"layer {layer}, head {head}" for layer in (1, 2) for head in (1, 2)
    ]
    assert (figure.axes[2].images[0].get_array() == weights[1, 0].numpy()).all()
    drawn(figure, tmp_path)


@torch.inference_mode()
def test_activations_are_what_the_head_reads(runs, tmp_path):
    for name, state in (("lstm", "hidden_1"), ("cnn", "before the head")):
        model, vocabulary = restored(runs[name]), runs[name].run.vocabulary
        ids = vocabulary.encode("dora")
        states = activations(model, ids)
        logits = model(torch.tensor([[0, *ids]]))[0]
        torch.testing.assert_close(model.head(states[state]), logits)
        figure = activation_plot(states, ["⏎", *"dora"], "title")
        assert [axes.get_title() for axes in figure.axes[: len(states)]] == list(states)
        drawn(figure, tmp_path)
    assert set(activations(restored(runs["lstm"]), [])) == {
        f"{memory}_{layer}" for memory in ("hidden", "cell") for layer in (0, 1)
    }
    assert activations(restored(runs["bigram"]), []) == {}


@pytest.mark.parametrize("script", TEXTS)
def test_text_in_any_script_is_drawn_without_a_warning(script, tmp_path):
    lines = TEXTS[script]
    vocabulary = Vocabulary.of(lines)
    strings = EncodedStrings(lines, vocabulary)
    labels = token_labels(vocabulary)
    chosen = most_frequent(strings, len(vocabulary))
    counts = bigram_counts(strings, chosen, len(vocabulary))
    drawn(bigram_plot(counts, labels, len(vocabulary), lines[0], "character"), tmp_path)
    drawn(surprise_plot(np.ones(len(labels)), labels, 9, lines[0] * 9, "character"), tmp_path)
    drawn(embedding_plot(np.eye(len(labels)), labels, lines[0]), tmp_path)


def test_a_character_without_a_font_is_named_by_its_number():
    unassigned, private = "\u0378", "\U00100000"
    texts, style = drawable(["a", unassigned, f"b{private}"])
    assert texts == ["a", "U+0378", "bU+100000"]
    assert style["fontfamily"] == ["DejaVu Sans"]


def test_an_installed_font_that_has_the_character_draws_it(monkeypatch):
    from makemore_export.plots import labels

    other = findfont("STIXGeneral")
    there, first = (set(get_font(path).get_charmap()) for path in (other, findfont("DejaVu Sans")))
    character = chr(max(c for c in there - first if unicodedata.category(chr(c)) == "Sm"))
    monkeypatch.setattr(labels, "_installed", lambda: {"STIXGeneral": other})
    labels._fonts.cache_clear()
    texts, style = drawable([character, "a"])
    labels._fonts.cache_clear()
    assert texts == [character, "a"]
    assert style["fontfamily"] == ["DejaVu Sans", "STIXGeneral"]


def test_tokens_are_labelled_so_that_they_can_be_seen():
    assert token_labels(Vocabulary("\t \u0301a")) == ["⏎", "U+0009", "␣", "◌\u0301", "a"]
    assert token_labels(WordVocabulary([" the", "-"])) == ["⏎", "the", "-", "\ufffd"]


def inspected(*words, code=0):
    result = CliRunner().invoke(inspect, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr.splitlines()[-1], result.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that `mm-train` made of a text beside it, with the sweep of another."""
    folder = tmp_path_factory.mktemp("run")
    text = folder / "text.txt"
    text.write_text("\n".join(LINES))
    words = [text, "-o", folder / "run", "--model", "gru", "--max-steps", "3", "--device", "cpu"]
    result = CliRunner().invoke(mm_train, [*map(str, words), "--n-hidden", "8"])
    assert result.exit_code == 0, result.output
    losses = [(1e-3, 3.0), (1e-2, 2.0), (1e-1, 5.0)]
    trials = [Trial(learning_rate=rate, loss=loss, smoothed=loss) for rate, loss in losses]
    keep(folder / "run", trials, 1e-3)
    return folder / "run"


def test_inspect_shows_a_run(run):
    for source in (run, run / "best.safetensors"):
        report = json.loads(inspected(source, "--json")[0])
        assert report["model"] == "gru"
        assert report["training steps"] == 3
        assert report["recipe"]["max_steps"] == 3
        assert report["finished"] is True
        assert report["novelty"]["samples"] == 1000
        nats = report["nats per character"]
        for split in ("train", "dev", "test"):
            assert report["bits per character"][split] == pytest.approx(nats[split] / math.log(2))
            assert report["perplexity"][split] == pytest.approx(math.exp(nats[split]))
    text, _ = inspected(run)
    assert all(key in text for key in report)


def test_inspect_shows_the_text_of_a_run_and_what_follows_a_prefix(run, tmp_path):
    text = run.parent / "text.txt"
    words = ["--text", text, "--top-bigrams", "3", "--next", "d", "--json"]
    report = json.loads(inspected(run, *words)[0])
    lines = list(dict.fromkeys(LINES))
    assert report["first lines"] == lines[:5]
    lengths = sorted(map(len, lines))
    assert report["characters a line"]["most"] == lengths[-1]
    assert report["characters a line"]["least"] == lengths[0]
    assert report["characters a line"]["mean"] == pytest.approx(sum(lengths) / len(lengths))
    pairs = Counter(pair for line in lines for pair in pairwise(["(start)", *line, "(end)"]))
    most = report["top bigrams"]
    assert sorted(most.values(), reverse=True) == sorted(pairs.values(), reverse=True)[:3]
    assert all(pairs[tuple(re.findall(r"\(\w+\)|.", name))] == n for name, n in most.items())
    following = report["after 'd'"]
    assert sum(following.values()) == pytest.approx(1)
    assert {"(end)", "'a'"} <= following.keys()
    assert list(following.values()) == sorted(following.values(), reverse=True)
    assert "first lines" not in json.loads(inspected(run, "--json")[0])  # the text is not at hand
    assert (
        "--top-bigrams counts in text.txt: name it"
        in inspected(run, "--top-bigrams", "1", code=2)[0]
    )
    out, _ = inspected(FOLDER / "bigram", "--next", "", "--json")
    assert sum(json.loads(out)["after ''"].values()) == pytest.approx(1)
    assert (
        "--top-bigrams is for a run"
        in inspected(FOLDER / "bigram", "--top-bigrams", "1", code=2)[0]
    )
    assert "--next needs a SOURCE" in inspected("--next", "a", code=2)[0]


def test_inspect_draws_a_run(run, tmp_path):
    report, err = inspected(run, "--plots", tmp_path, "--text", run.parent / "text.txt", "--json")
    names = ("bigrams", "losses", "learning-rates", "embedding", "surprise", "activations")
    assert json.loads(report)["pictures"] == [str(tmp_path / f"{name}.png") for name in names]
    for name in names:
        with Image.open(tmp_path / f"{name}.png") as image:
            image.verify()
    assert err == ""


def test_a_picture_that_cannot_be_drawn_is_left_out_with_the_reason(run, tmp_path):
    out, err = inspected(run / "best.safetensors", "--plots", tmp_path / "a", "--string", "dora")
    assert "left out: bigrams: text.txt is not at hand; name it with --text" in err
    assert "bigrams.png" not in out
    trained(tmp_path / "bigram", "bigram")
    _, err = inspected(tmp_path / "bigram", "--plots", tmp_path / "b")
    assert [line.split(":")[1].strip() for line in err.splitlines()] == [
        "bigrams",
        "losses",
        "learning-rates",
        "embedding",
        "activations",
    ]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["surprise.png"]


def test_a_blend_shows_the_losses_of_its_components(tmp_path):
    components = (("rnn", {"n_hidden": 4}), ("bigram", {}))
    trained(tmp_path / "run", "blend", parts=components, max_steps=3)
    out, err = inspected(tmp_path / "run", "--plots", tmp_path / "plots")
    assert "losses.png" in out
    assert "left out: embedding: each component has its own" in err
    inspected(tmp_path / "run" / "parts" / "0-rnn", "--plots", tmp_path / "component")
    assert (tmp_path / "component" / "embedding.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", "other.txt"], "other.txt: is another text than that of the run"),
        (["--text", "missing.txt"], "missing.txt: cannot be read: No such file"),
        (["--string", "xylo"], "character 'x' (number 1 of 'xylo')"),
        (["--string", "a" * 201], "the string to draw has 201 characters; the limit is 200"),
    ],
)
def test_what_cannot_be_drawn_as_asked_is_refused(run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.txt").write_text("dora")
    assert message in inspected(run, "--plots", "plots", *words, code=2)[0]
    assert not (tmp_path / "plots").exists()


def test_the_block_limits_the_string_to_draw(runs, tmp_path):
    source = runs["transformer"]
    assert source.run.config["block_size"] == 6
    checkpoint.save(tmp_path / "best.safetensors", source)
    error, _ = inspected(tmp_path, "--plots", tmp_path / "plots", "--string", "dorado", code=2)
    assert "has 6 characters; the limit is 5" in error
    inspected(tmp_path, "--plots", tmp_path / "plots", "--string", "dorad")


def test_only_a_run_is_drawn(tmp_path):
    source = trained(tmp_path / "run", "bigram")
    export(source, tmp_path / "artifact")
    error, _ = inspected(tmp_path / "artifact", "--plots", tmp_path / "plots", code=2)
    assert "--plots is for a run folder or its best.safetensors" in error
    assert "--plots is for a run" in inspected("--plots", tmp_path / "plots", code=2)[0]
    error, _ = inspected(tmp_path / "run", "--string", "dora", code=2)
    assert "--string is for --plots" in error
    error, _ = inspected(tmp_path / "run", "--log-scale", code=2)
    assert "--log-scale is for --plots" in error
    inspected(tmp_path / "run", "--log-scale", "--plots", tmp_path / "logarithmic")


def test_a_torn_log_is_one_line_on_stderr(tmp_path):
    trained(tmp_path / "run", "bigram")
    RunFolder(tmp_path / "run").log.write_text('{"kind":')
    error, _ = inspected(tmp_path / "run", "--plots", tmp_path / "plots", code=2)
    assert "log.jsonl: Input data was truncated" in error


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from makemore_export.commands.inspect import main as inspect
inspect(sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("package", "words"), [("torch", []), ("safetensors", []), ("matplotlib", ["--plots", "new"])]
)
def test_a_package_that_is_missing_is_named_with_the_cure(run, package, words):
    command = [sys.executable, "-c", WITHOUT, package, str(run), *words]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert f"{package} is needed: pip install 'makemore[export]'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_pictures_need_no_pyplot_and_so_no_display(run, tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from makemore_export.plots.run_plots import draw\n"
        "draw(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(run), str(tmp_path)]
    subprocess.run(command, check=True, env={"PYTHONPATH": ":".join(sys.path)})
