"""The n-gram that holds only what was seen, against the one whose tables hold every token."""

from __future__ import annotations

import makemore
import numpy as np
import onnx
import pytest
import torch
from makemore.vocabulary import Vocabulary
from makemore_export.configs import ModelSpec
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models import counted as forms
from makemore_export.models import ngram as ngrams
from makemore_export.models.blend import Blend, BlendConfig
from makemore_export.models.counted import Counted
from makemore_export.models.ngram import Ngram, NgramConfig
from makemore_export.packing.artifact_folder import export
from makemore_export.packing.eager import describe, eager_sampler
from makemore_export.packing.step_module import StepModule
from small_runs import trained

LETTERS = Vocabulary("abcdefghijklmnopqrst")
VOCAB_SIZE = len(LETTERS)
ORDERS = [2, 3, 4, 5, 6]
METHODS = [{}, {"method": "additive"}, {"method": "additive", "smoothing": 0}]
NEAR = {"atol": 1e-6, "rtol": 2.5e-7}  # 2 units of the last bit of a float32, or 1e-6
IDS = ["kneser-ney", "additive", "unsmoothed"]


@pytest.fixture
def sparse(monkeypatch):
    """Of two levels, here, the empty context alone has a row."""
    monkeypatch.setattr(forms, "_DENSE", 0)
    monkeypatch.setattr(forms, "_DENSE_OF_SPARSE", 0)


def random_lines(n, seed=1):
    """Lines of 1 to 12 letters, of which the last ones are rare and t never is there."""
    rng = np.random.default_rng(seed)
    odds = 0.7 ** np.arange(VOCAB_SIZE - 2)
    letters = [*"abcdefghijklmnopqrs"]
    return [
        "".join(rng.choice(letters, rng.integers(1, 13), p=odds / odds.sum())) for _ in range(n)
    ]


def random_tokens(rows, time, seed=1):
    """Token ids (rows, time), as no string has them: some likely, some never seen."""
    rng = np.random.default_rng(seed)
    tokens = np.minimum(rng.geometric(0.3, (rows, time)) - 1, VOCAB_SIZE - 1)
    tokens[:, 0] = 0
    tokens[::5] = rng.integers(VOCAB_SIZE, size=tokens[::5].shape)
    return torch.from_numpy(tokens)


def fitted(n=300, **options):
    model = Ngram(NgramConfig(**options), VOCAB_SIZE)
    lines = EncodedStrings(random_lines(n), LETTERS)
    model.fit(lines, EncodedStrings(random_lines(50, seed=2), LETTERS))
    return model


def both(monkeypatch, rows, **options):
    """The dense model, and the one with dense rows in at most `rows` contexts."""
    monkeypatch.setattr(forms, "_DENSE", 1 << 30)
    dense = fitted(**options)
    monkeypatch.setattr(forms, "_DENSE", 0)
    monkeypatch.setattr(forms, "_DENSE_OF_SPARSE", rows * VOCAB_SIZE * 8)
    return dense, fitted(**options)


@pytest.mark.parametrize("options", METHODS, ids=IDS)
@pytest.mark.parametrize("rows", [0, VOCAB_SIZE, 1 << 20])
@pytest.mark.parametrize("order", ORDERS)
def test_log_probabilities_are_those_of_the_dense_tables(monkeypatch, order, rows, options):
    dense, sparse = both(monkeypatch, rows, order=order, **options)
    assert not len(dense.levels)
    levels = {0: order - 1, VOCAB_SIZE: max(1, order - 2), 1 << 20: 1}
    assert len(sparse.levels) == levels[rows]
    tokens = random_tokens(200, 12)
    expected = dense(tokens)
    torch.testing.assert_close(sparse(tokens), expected, **NEAR)
    state = torch.zeros(len(tokens), dtype=torch.int64)
    for position, token in enumerate(tokens.unbind(1)):
        logits, state = sparse.step(token, torch.full_like(token, position), state)
        torch.testing.assert_close(logits, expected[:, position], **NEAR)


@pytest.mark.parametrize("options", METHODS, ids=IDS)
def test_what_is_chosen_on_dev_is_what_the_dense_form_chooses(monkeypatch, options):
    monkeypatch.setattr(forms, "_DENSE", 0)
    lines, dev = (EncodedStrings(random_lines(90, seed), LETTERS) for seed in (1, 2))
    chosen = Ngram(NgramConfig(**options), VOCAB_SIZE).fit(lines, dev)
    monkeypatch.setattr(forms, "_DENSE", 1 << 30)
    assert Ngram(NgramConfig(**options), VOCAB_SIZE).fit(lines, dev) == chosen


def test_one_line_of_one_character_is_enough(sparse):
    vocabulary = Vocabulary("語")
    train = EncodedStrings(["語"], vocabulary)
    model = Ngram(NgramConfig(), 2)
    model.fit(train, None)
    assert model(torch.tensor([[0, 1, 1, 0, 0]])).isfinite().all()


@pytest.mark.parametrize("order", ORDERS)
def test_the_size_is_known_before_the_values_are(monkeypatch, order):
    lines = EncodedStrings(random_lines(300), LETTERS)
    for model in both(monkeypatch, VOCAB_SIZE, order=order):
        monkeypatch.setattr(forms, "_DENSE", 0 if len(model.levels) else 1 << 30)
        tables = sum(table.nbytes for table in model.state_dict().values())
        expected = Counted.of(lines, order).table_bytes()
        # Beside it are the numbers of the states, the first rows, and the offsets.
        assert expected <= tables <= expected + 1000 + model.state.nbytes


def test_the_size_of_a_long_text_is_at_most_what_its_beginning_gives(monkeypatch):
    lines = EncodedStrings(random_lines(500), LETTERS)
    model = Ngram(NgramConfig(order=4), VOCAB_SIZE)
    exact = model.expected_bytes(lines)
    assert exact == Counted.of(lines, 4).table_bytes()
    monkeypatch.setattr(ngrams, "_TOKENS_TRIED", len(lines.tokens) // 2)
    assert exact <= model.expected_bytes(lines) < 2 * exact
    monkeypatch.setattr(ngrams, "_TOKENS_TRIED", 1)
    assert model.expected_bytes(lines) >= exact


def test_tables_follow_what_was_seen_and_not_the_number_of_tokens():
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 2000)))
    vocabulary = Vocabulary(characters)
    rng = np.random.default_rng(1)
    lines = ["".join(rng.choice([*characters], 5)) for _ in range(2000)]
    model = Ngram(NgramConfig(), len(vocabulary))
    model.fit(EncodedStrings(lines, vocabulary), None)
    ngrams = sum(len(line) + 1 for line in lines) * 6
    assert sum(table.nbytes for table in model.state_dict().values()) < ngrams * 24


def test_weights_are_loaded_in_the_form_that_they_have(monkeypatch):
    dense, sparse = both(monkeypatch, VOCAB_SIZE, order=4)
    tokens = random_tokens(20, 9)
    for source in (dense, sparse):
        for target in both(monkeypatch, 0, order=3):
            target.load_state_dict(source.state_dict())
            assert torch.equal(target(tokens), source(tokens))
            assert target.fault() is None


def test_a_blend_of_a_sparse_ngram_is_that_of_the_dense_one(monkeypatch):
    specs = tuple(
        ModelSpec(model="ngram", config={"order": order, "method": method, "smoothing": None})
        for order, method in ((3, "kneser-ney"), (4, "additive"))
    )
    blends = []
    for parts in zip(
        both(monkeypatch, 0, order=3), both(monkeypatch, 0, order=4, method="additive"), strict=True
    ):
        blend = Blend(BlendConfig(parts=specs), VOCAB_SIZE)
        weights = {
            f"parts.{i}.{name}": table
            for i, part in enumerate(parts)
            for name, table in part.state_dict().items()
        }
        blend.load_state_dict({**weights, "weights": torch.tensor([0.3, 0.7])})
        blends.append(blend)
    tokens = random_tokens(20, 9)
    expected, found = (blend(tokens) for blend in blends)
    torch.testing.assert_close(found, expected, **NEAR)


@pytest.mark.parametrize(
    ("options", "half"),
    [({}, False), ({"method": "additive"}, False), ({}, True)],
    ids=["kneser-ney", "additive", "float16"],
)
def test_an_artifact_is_verified_and_samples_what_the_dense_model_does(
    tmp_path, monkeypatch, options, half
):
    monkeypatch.setattr(forms, "_DENSE", 1 << 30)
    dense = trained(tmp_path / "dense", "ngram", order=4, **options)
    monkeypatch.setattr(forms, "_DENSE", 0)
    monkeypatch.setattr(forms, "_DENSE_OF_SPARSE", 500)
    source = trained(tmp_path / "sparse", "ngram", order=4, **options)
    assert "levels.0.token" in source.weights
    assert "levels.0.token" not in dense.weights
    report = export(source, tmp_path / "artifact", precision="float16" if half else "float32")
    (call, *others) = onnx.load(tmp_path / "artifact" / "model.onnx").graph.node
    assert half or (not others and call.op_type.startswith("Sparse"))
    assert all(check.largest_difference < (0.1 if half else 1e-5) for check in report.verification)
    model = dense.run.new_model()
    model.load_state_dict(dense.weights)
    strings = eager_sampler(model, describe(dense.run, dense.progress, model)).sample(300, seed=3)
    for name in ("model.onnx", "model.ts"):
        sampler = makemore.load(tmp_path / "artifact" / name, threads=1, trust=True)
        found = sampler.sample(300, seed=3)
        same = sum(map(str.__eq__, found, strings))
        assert same == 300 or (half and same > 270)


def test_a_blend_with_a_sparse_ngram_is_exported(tmp_path, sparse):
    parts = (("gru", {"n_hidden": 8, "n_embd": 8, "max_steps": 4}), ("ngram", {"order": 3}))
    source = trained(tmp_path / "run", "blend", parts=parts)
    assert "parts.1.levels.1.value" in source.weights
    report = export(source, tmp_path / "artifact")
    assert all(check.largest_difference < 1e-4 for check in report.verification)
    nodes = onnx.load(tmp_path / "artifact" / "model.onnx").graph.node
    assert [node.op_type for node in nodes] == ["GruStep", "SparseNgramStep", "Mixture"]


@pytest.mark.parametrize("options", [{}, {"method": "additive"}], ids=IDS[:2])
def test_a_step_of_a_batch_is_the_step_of_each_row(sparse, options):
    step = StepModule(fitted(order=5, **options))
    state = torch.zeros(64, dtype=torch.int64)
    for position, token in enumerate(random_tokens(64, 8).unbind(1)):
        positions = torch.full_like(token, position)
        logits, following = step(token, positions, state)
        for row in range(0, 64, 7):
            alone = step(*(each[row : row + 1] for each in (token, positions, state)))
            assert torch.equal(alone[0][0], logits[row])
            assert alone[1][0] == following[row]
        state = following
