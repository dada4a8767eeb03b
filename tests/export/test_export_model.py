"""Modules of others: what is exported, and what is refused with its reason."""

from __future__ import annotations

import re
from pathlib import Path

import makemore
import makemore_export
import numpy as np
import pytest
import torch
from makemore import OptionError
from makemore_export import (
    CheckpointError,
    ExportError,
    LoadedModel,
    StateSpec,
    export_model,
    load_model,
)
from makemore_export.models.foreign import SequenceModel, StepModel
from makemore_export.models.token_ids import TokenIds
from makemore_export.packing.verification import batches
from small_runs import trained
from torch import nn

DOCS = Path(__file__).parents[2] / "docs" / "importing.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
LETTERS = "abcdef"
V = len(LETTERS) + 1


@pytest.mark.parametrize("block", BLOCKS[:3])
def test_the_modules_of_the_documentation_are_exported(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    assert len([line for line in block.splitlines() if line.strip()]) <= 15
    exec(block, {})
    (folder,) = tmp_path.iterdir()
    sampler = makemore.load(folder)
    assert len(sampler.sample(5, seed=1)) == 5
    assert sampler.artifact.training is None
    assert sampler.artifact.origin.format == "module"
    card = (folder / "README.md").read_text()
    assert "read as module" in card
    assert "0 lines" not in card
    if "Convolution" in block:
        assert "computes all 16 positions of a string again" in capsys.readouterr().out


def test_the_run_of_the_documentation_is_loaded(tmp_path, monkeypatch):
    trained(tmp_path / "names.run", "gru")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(BLOCKS[3], names)
    model, vocabulary = names["model"], names["vocabulary"]
    ids = vocabulary.encode(vocabulary.tokens[0])
    assert model(torch.tensor([[0, *ids]])).shape == (1, 2, len(vocabulary))
    assert not model.training
    assert isinstance(load_model(tmp_path / "names.run" / "best.safetensors"), LoadedModel)
    with pytest.raises(CheckpointError):
        load_model(tmp_path)


class Bigram(nn.Module):
    def __init__(self, vocab_size=V):
        super().__init__()
        self.table = nn.Parameter(torch.randn(vocab_size, vocab_size))

    def forward(self, token, position):
        return self.table[token]


class Sequence(nn.Module):
    """Each token's logits from all up to it, weighted."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(V, V)

    def forward(self, tokens):
        return self.embedding(tokens).cumsum(1) / 3


def step(change, module=Bigram):
    """A step module whose logits are changed."""

    class Changed(module):
        def forward(self, token, position):
            return change(super().forward(token, position), token)

    return Changed()


def fail(error):
    raise error


def at_token(logits, token, value):
    return logits.masked_fill((token == 3)[:, None], value)


class Uncausal(Sequence):
    def forward(self, tokens):
        return self.embedding(tokens).flip(1).cumsum(1).flip(1)


class Baked(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(V, V))

    def forward(self, token, position):
        return self.table[token].reshape(2, V)


class Dropping(Bigram):
    def forward(self, token, position):
        return nn.functional.dropout(super().forward(token, position), 0.5, self.training)


STEP = {"states": []}
REFUSED = [
    (Uncausal(), {"block_size": 8}, r"it is not causal: logits up to position \d depend on later"),
    (Baked(), STEP, "its forward fails on a batch of 1"),
    (step(lambda x, t: at_token(x, t, torch.nan)), STEP, r"logit 0 at position \d is nan"),
    (step(lambda x, t: at_token(x, t, torch.inf)), STEP, r"logit 0 at position \d is inf"),
    (Dropping(), STEP, "other logits each time: dropout is on"),
    (step(lambda x, t: x + x.mean(0)), STEP, "logits of a row depend on the other rows"),
    (Bigram(9), STEP, "another vocabulary: it gives 9 logits, and tokens has 7 ids"),
    (Bigram(5), STEP, "another vocabulary: it gives 5 logits, and tokens has 7 ids"),
    (Sequence(), STEP, "its forward fails on a batch of 2"),
    (step(lambda x, t: {"logits": x}), STEP, "forward returns dict; a step returns logits, .state"),
    (step(lambda x, t: None), STEP, "forward returns NoneType; a step returns logits"),
    (step(lambda x, t: ()), STEP, "forward returns tuple; a step returns logits"),
    (step(lambda x, t: (x, (x, x))), STEP, "returns tuple among its results; all must be tensors"),
    (step(lambda x, t: fail(KeyError("k"))), STEP, "fails on a batch of 2: KeyError: 'k'"),
    (step(lambda x, t: fail(AssertionError("no"))), STEP, "batch of 2: AssertionError: no"),
    (Bigram(), {"block_size": 8}, "its forward fails on a batch of 2"),
    (Bigram(), {**STEP, "reference": Sequence()}, "logits are not those of the reference"),
]


@pytest.mark.parametrize(("module", "options", "reason"), REFUSED)
def test_a_module_that_cannot_be_sampled_is_refused_with_the_reason(
    module, options, reason, tmp_path
):
    with pytest.raises(ExportError, match=reason):
        export_model(module, tmp_path / "artifact", tokens=LETTERS, **options)
    assert not (tmp_path / "artifact").exists()


class Counting(nn.Module):
    def __init__(self, after):
        super().__init__()
        self.after, self.table = after, nn.Parameter(torch.randn(V, V))

    def forward(self, token, position, count):
        return (self.table[token], *self.after(count))


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (lambda count: (), "returns 0 states beside the logits; 1 are declared"),
        (lambda count: (count, count), "returns 2 states beside the logits; 1 are declared"),
        (lambda count: (count.float(),), "state 'count' is torch.float32 .* after a step"),
        (lambda count: (count[:, :1],), r"state 'count' is torch.int64 \[1\] after a step"),
    ],
)
def test_states_that_are_not_as_declared_are_refused(after, reason, tmp_path):
    states = [StateSpec(name="count", dtype="int64", shape=(2,))]
    with pytest.raises(ExportError, match=reason):
        export_model(Counting(after), tmp_path / "artifact", tokens=LETTERS, states=states)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "block_size is not given; a module without states takes whole strings"),
        ({**STEP, "tokens": ["a", "bc"]}, r"tokens\[1\] is 'bc'; it must be 1 code point"),
        ({**STEP, "tokens": [None, None, "a"]}, "tokens has 2 ids without a text; say which"),
        ({**STEP, "tokens": "abc", "stop": 3}, "stop is 3; tokens has ids 0 to 2"),
        ({**STEP, "block_size": 4, "max_length": 4}, "max_length is 4, but a block of 4 holds 3"),
        ({**STEP, "tokens": "aa"}, "tokens holds 'a' 2 times"),
        ({"states": [("x", "float99", (2,))]}, "type of state 'x' is 'float99'; it must be one of"),
        ({"states": [("c", "int8", ())]}, "type of state 'c' is 'int8'; it must .* int64$"),
        ({"states": [StateSpec(name="c", dtype="int8", shape=())]}, "type of state 'c' is 'int8'"),
        ({"states": [("x", ["int64"], ())]}, r"type of state 'x' is \['int64'\]; it must be one"),
        ({"states": [("x", "int64", 2)]}, "state .* is not a name, type and shape: Expected"),
        ({"states": [("x", "int64")]}, "state .* is not a name, type and shape: not enough"),
        ({**STEP, "split_pattern": "a"}, "split_pattern is for level 'token'"),
        ({"states": [("x", "float32", (-4,))]}, r"state 'x' has shape \[-4\]; its sizes must be"),
        ({"states": 5}, "states is 5; it must be a list, or None"),
        ({**STEP, "block_size": "8"}, "block_size is '8'; it must be an integer >= 1"),
        ({**STEP, "max_length": 2.5}, "max_length is 2.5; it must be an integer >= 1"),
        ({**STEP, "start": "a"}, "start is 'a'; it must be an integer >= 0"),
        ({**STEP, "stop": 1.5}, "stop is 1.5; it must be an integer >= 0"),
        ({**STEP, "tokens": ["a", "\ud800"]}, "a token or name is no text: .*surrogates"),
        ({**STEP, "tokens": 7}, "tokens is 7; it must be a list of texts"),
        ({**STEP, "name": 3}, "name is 3; it must be text"),
        ({**STEP, "card": 3}, "card is 3; it must be text"),
        ({**STEP, "reference": 3}, "module and reference must be modules of PyTorch"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message, tmp_path):
    with pytest.raises(OptionError, match=message):
        export_model(Bigram(), tmp_path / "artifact", **{"tokens": LETTERS, **options})
    assert not (tmp_path / "artifact").exists()


def test_start_and_stop_may_be_tokens_of_their_own(tmp_path):
    """Ids 2 and 4 are start and stop, 5 is padding, and 0 a text."""
    torch.manual_seed(1)
    module = Bigram(6)
    texts = ["x", "y", None, "z", None, None]
    export_model(module, tmp_path / "a", tokens=texts, states=[], start=2, stop=4, max_length=9)
    sampler = makemore.load(tmp_path / "a")
    assert sampler.artifact.tokens == ("x", "y", "z")
    made = [4, 0, 1, 3]
    log_probs = module.table[:, made].log_softmax(-1)
    wanted = log_probs[2, 3] + log_probs[3, 1] + log_probs[0, 0]  # 2 -> z, z -> x, x -> stop
    assert sampler.score(["zx"])[0] == pytest.approx(float(wanted.detach()), abs=1e-5)
    assert {*"".join(sampler.sample(100, seed=1))} == {*"xyz"}


def test_a_target_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OptionError, match="file: is there already"):
        export_model(Bigram(), tmp_path / "file", tokens=LETTERS, states=[])
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("block_size", [8, 1000])
def test_what_is_compared_takes_bounded_memory(block_size):
    """All positions of the first batch; of wide models fewer of the others."""
    ids = TokenIds.of(["a", "b"])
    for vocab_size in (7, 10**6):
        step_model = StepModel(Bigram(), ids, 3, [], block_size)
        whole = SequenceModel(Sequence(), ids, 3, block_size)
        for model in (step_model, whole):
            found = batches(model, vocab_size)
            assert found[0] == (1, block_size)
            assert found[-1][0] == (64 if model is step_model or vocab_size == 7 else 2) or (
                block_size == 8
            )
            for rows, positions in found[1:]:
                assert rows * positions * vocab_size <= max(2**27, rows * 16 * vocab_size)
    assert batches(StepModel(Bigram(), ids, 3, [], 8), 7) == [(1, 8), (2, 8), (7, 8), (64, 8)]


def test_an_artifact_is_replaced_only_where_that_is_asked_for(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("x")
    with pytest.raises(OptionError, match="is there already; overwrite=True replaces"):
        export_model(Bigram(), tmp_path / "a", tokens=LETTERS, states=[])
    with pytest.raises(OptionError, match=r"holds 'mine.txt', so it is not an artifact"):
        export_model(Bigram(), tmp_path / "a", tokens=LETTERS, states=[], overwrite=True)
    (tmp_path / "a" / "mine.txt").unlink()
    export_model(Bigram(), tmp_path / "a", tokens=LETTERS, states=[])
    report = export_model(
        Bigram(), tmp_path / "a", tokens=LETTERS, states=[], overwrite=True, card="*Mine.*"
    )
    assert (report.verification[0].batch_sizes, report.losses) == ((1, 2, 7, 64), {})
    assert "*Mine.*" in (tmp_path / "a" / "README.md").read_text()


def test_a_module_keeps_its_mode_and_its_weights(tmp_path):
    module = nn.Sequential(nn.Embedding(V, 8), nn.Dropout(0.0), nn.Linear(8, V)).train()
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    report = export_model(module, tmp_path / "a", tokens=LETTERS, block_size=6, reference=module)
    assert module.training
    assert all(torch.equal(weight, before[name]) for name, weight in module.state_dict().items())
    assert report.notes[0].startswith("Each token computes all 6 positions")
    step = makemore.load(tmp_path / "a").new_step()
    step.reset(2)
    tokens = np.array([[0, 3, 1], [0, 2, 6]])
    with torch.inference_mode():
        expected = module(torch.from_numpy(tokens)).numpy()
    for position in range(3):
        logits = step.run(tokens[:, position].copy(), np.full(2, position))
        np.testing.assert_allclose(logits, expected[:, position], atol=1e-5)


def test_ids_of_tokens():
    assert TokenIds.of("abc") == TokenIds(("a", "b", "c"), (1, 2, 3), 4)
    assert TokenIds.of([None, "a"]).is_ours(2)
    assert TokenIds.of(["a", None, "b"]) == TokenIds(("a", "b"), (0, 2), 3, 1, 1)
    assert TokenIds.of(["a", "\n", "b"], start=1) == TokenIds(("a", "b"), (0, 2), 3, 1, 1)
    assert not TokenIds.of([None, "a", None], start=0).is_ours(3)


def test_the_public_names_are_there_and_come_late():
    for name in makemore_export.__all__:
        assert getattr(makemore_export, name).__doc__
        assert name in dir(makemore_export)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        makemore_export.nothing  # noqa: B018
