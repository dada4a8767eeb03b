"""Models over tokens of any length: trained, exported, sampled and scored by their cut."""

from __future__ import annotations

import json
from itertools import product

import makemore
import numpy as np
import pytest
import torch
from commands import run
from makemore import OptionError
from makemore_export import load_model
from makemore_export.commands.export import main as mm_export

pytest.importorskip("outlines_core", reason="a pattern that cuts needs outlines-core")

ATOMS = r"\[[^\]]+\]|Br|Cl|%[0-9]{2}|."
LINES = [
    f"{first}{middle}{last}"
    for first, middle, last in product(
        ("C", "CC", "Cl", "Br", "[nH]", "O"),
        ("C", "c1ccccc1", "C(=O)", "C%12CC%12"),
        ("", "Cl", "N"),
    )
]
MODELS = {
    "ngram": ["--order", "3"],
    "gru": ["--n-embd", "8", "--n-hidden", "8", "--max-steps", "30"],
    "transformer": ["--n-embd", "8", "--n-layer", "1", "--n-head", "2", "--max-steps", "30"],
}


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smiles.txt").write_text("\n".join(LINES) + "\n")


@pytest.mark.parametrize("model", MODELS)
def test_a_model_over_atoms_is_trained_exported_and_scored(model, tmp_path):
    words = ["--level", "token", "--split-pattern", ATOMS, "--model", model, *MODELS[model]]
    out, _ = run(mm_export, "smiles.txt", "-o", "atoms", *words, "--samples", "3")
    assert "nats per token" in out
    sampler = makemore.load("atoms")
    artifact = sampler.artifact
    assert (artifact.level, artifact.split_pattern) == ("token", ATOMS)
    assert {"Cl", "Br", "[nH]", "%12"} < {*artifact.tokens}
    made = sampler.sample_ids(200, seed=1)
    for each in made:
        assert each.text == "".join(artifact.tokens[i - 1] for i in each.ids)
    assert any(len(each.ids) < len(each.text) for each in made)
    trained, vocabulary = load_model("atoms.run")
    ids = [0, *vocabulary.encode("CC(=O)Cl"), 0]
    assert len(ids) == 9
    with torch.inference_mode():
        log_probs = trained(torch.tensor([ids[:-1]]))[0].log_softmax(-1)
    wanted = float(log_probs[range(8), ids[1:]].sum())
    assert sampler.score(["CC(=O)Cl"])[0] == pytest.approx(wanted, abs=1e-4)
    passed = sampler.sample(20, seed=1, matching="C.*Cl", exclude="Br", unique=True)
    assert all(text.startswith("C") and text.endswith("Cl") and "Br" not in text for text in passed)
    assert all(text.startswith("Cl") for text in sampler.sample(5, seed=1, prefix="Cl"))
    with pytest.raises(OptionError, match=r"token '\[Cl\]' of '\[Cl\]C' is not among the"):
        sampler.score(["[Cl]C"])
    assert sampler.score(["[K]C"], on_unknown="-inf")[0] == -np.inf


def test_a_run_is_gone_on_with_and_another_cut_is_another_run(tmp_path):
    words = ["smiles.txt", "-o", "atoms", "--model", "gru", *MODELS["gru"], "--json"]
    cut = ["--level", "token", "--split-pattern", ATOMS]
    first, again = (json.loads(run(mm_export, *words, *cut)[0]) for _ in range(2))
    assert again["report"]["losses"] == first["report"]["losses"]
    _, err = run(mm_export, *words, "--level", "token", "--split-pattern", "Cl|.", code=2)
    assert "holds another run: " in err
    assert "split_pattern" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--level", "token"], "--level token needs --split-pattern"),
        (["--split-pattern", "."], "--split-pattern . is for --level token"),
        (["--level", "token", "--split-pattern", "("], "split_pattern is '('; "),
        (["--level", "token", "--split-pattern", "C|O"], "cannot be cut into tokens: none begins"),
        (
            ["--level", "token", "--split-pattern", ".", "--vocab-size", "9"],
            "--vocab-size 9 is for --level word; all tokens are known",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused(words, message, tmp_path):
    _, err = run(mm_export, "smiles.txt", "-o", "atoms", "--model", "bigram", *words, code=2)
    assert message in err
    assert not (tmp_path / "atoms").exists()
