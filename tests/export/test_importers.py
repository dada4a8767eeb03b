"""Checkpoints of other programs: an artifact gives what the program gave."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import makemore
import numpy as np
import pytest
import torch
from commands import run
from makemore import _core
from makemore.runtime.onnxruntime_library import open_library
from makemore_export.commands.export import main as mm_export
from makemore_export.importers import IMPORTERS, format_of, read_tensors
from torch import nn
from torch.nn import functional as F

SHARED = Path(__file__).parents[3] / "shared" / "checkpoints"
MAKEMORE = ("bigram", "bow", "gru", "mlp", "rnn", "transformer")
TOLERANCE = 1e-5
LETTERS = "abcdef"


def exported(source, tmp_path, *words):
    run(mm_export, source, "-o", tmp_path / "artifact", "--samples", "0", *words)
    return makemore.load(tmp_path / "artifact")


def refusal(*words, code=2):
    return run(*words, code=code)[1]


def kernel_of(folder):
    return _core.OnnxModel(open_library(), folder / "model.onnx").kernel


@pytest.fixture
def tokens(tmp_path):
    """A file of tokens: the letters, after the start and stop."""
    (tmp_path / "tokens.json").write_text(json.dumps([None, *LETTERS]))
    return ("--tokens", tmp_path / "tokens.json")


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"there is no {SHARED}")
@pytest.mark.parametrize("kind", MAKEMORE)
def test_a_checkpoint_of_makemore_py_scores_names_as_makemore_py_does(kind, tmp_path):
    expected = json.loads((SHARED / "makemore-expected.json").read_text())
    file = SHARED / f"makemore-{kind}.pt"
    assert format_of(read_tensors(file)) == "makemore"
    (tmp_path / "names.txt").write_text("\n".join([*expected["names"], *expected["tokens"]]))
    words = ["--text", tmp_path / "names.txt"]
    words += ["--n-head", expected["config"]["n_head"]] if kind == "transformer" else []
    sampler = exported(file, tmp_path, *words)
    found = sampler.score(expected["names"])
    assert np.abs(found - expected["log_probs"][kind]).max() < TOLERANCE
    assert (kernel_of(tmp_path / "artifact") in _core.kernels()) == (kind == "transformer")
    assert sampler.artifact.origin.name == file.name
    assert len(sampler.sample(3, seed=1, novel=True)) == 3
    card = (tmp_path / "artifact" / "README.md").read_text()
    assert f"# {kind} from {file.name}" in card
    assert f"| imported from | {file.name}, read as makemore |" in card


def nanogpt(*, bias, width=24, heads=3, layers=2, block=9, vocab=7):
    """A state dict with the names of nanoGPT, and its forward."""
    torch.manual_seed(3)
    shapes = {"transformer.wte": (vocab, width), "transformer.wpe": (block, width)}
    norms = ["transformer.ln_f"]
    for i in range(layers):
        layer = f"transformer.h.{i}"
        norms += [f"{layer}.ln_1", f"{layer}.ln_2"]
        shapes[f"{layer}.attn.c_attn"] = (3 * width, width)
        shapes[f"{layer}.attn.c_proj"] = (width, width)
        shapes[f"{layer}.mlp.c_fc"] = (4 * width, width)
        shapes[f"{layer}.mlp.c_proj"] = (width, 4 * width)
    weights = {f"{name}.weight": torch.randn(shape) / 4 for name, shape in shapes.items()}
    weights |= {f"{norm}.weight": 1 + torch.randn(width) / 4 for norm in norms}
    if bias:
        linear = [name for name in shapes if ".c_" in name]
        weights |= {f"{name}.bias": torch.randn(shapes[name][0]) / 4 for name in linear}
        weights |= {f"{norm}.bias": torch.randn(width) / 4 for norm in norms}
    weights["lm_head.weight"] = weights["transformer.wte.weight"]
    sizes = {
        "n_layer": layers,
        "n_head": heads,
        "n_embd": width,
        "block_size": block,
        "bias": bias,
        "vocab_size": vocab,
        "dropout": 0.2,
    }

    def part(name):
        return weights[f"{name}.weight"], weights.get(f"{name}.bias")

    def forward(ids):
        x = weights["transformer.wte.weight"][ids]
        x = x + weights["transformer.wpe.weight"][: ids.shape[1]]
        for i in range(layers):
            layer = f"transformer.h.{i}"
            normed = F.layer_norm(x, (width,), *part(f"{layer}.ln_1"))
            qkv = F.linear(normed, *part(f"{layer}.attn.c_attn"))
            q, k, v = (
                each.unflatten(2, (heads, -1)).transpose(1, 2) for each in qkv.split(width, 2)
            )
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + F.linear(y.transpose(1, 2).flatten(2), *part(f"{layer}.attn.c_proj"))
            normed = F.layer_norm(x, (width,), *part(f"{layer}.ln_2"))
            hidden = F.gelu(F.linear(normed, *part(f"{layer}.mlp.c_fc")))
            x = x + F.linear(hidden, *part(f"{layer}.mlp.c_proj"))
        return F.layer_norm(x, (width,), *part("transformer.ln_f")) @ weights["lm_head.weight"].T

    return weights, sizes, forward


@pytest.mark.parametrize("bias", [True, False])
def test_a_checkpoint_of_nanogpt_makes_lines(bias, tmp_path):
    weights, sizes, forward = nanogpt(bias=bias)
    compiled = {f"_orig_mod.{name}": weight for name, weight in weights.items()}
    torch.save(
        {
            "model": compiled,
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []},
            "model_args": sizes,
            "iter_num": 10,
            "best_val_loss": torch.tensor(1.5),
            "config": {"dataset": "lines", "compile": True},
        },
        tmp_path / "ckpt.pt",
    )
    (tmp_path / "input.txt").write_text("fed\nbac\n\nabcdef\n")
    assert format_of(read_tensors(tmp_path / "ckpt.pt")) == "nanogpt"
    sampler = exported(tmp_path / "ckpt.pt", tmp_path, "--text", tmp_path / "input.txt")
    assert sampler.artifact.tokens == tuple(LETTERS)
    assert kernel_of(tmp_path / "artifact") in _core.kernels()
    characters = ["\n", *LETTERS]
    for line in ("", "a", "fed", "abcdef", "ffffffff"):
        ids = [characters.index(c) for c in f"\n{line}\n"]
        log_probs = forward(torch.tensor([ids[:-1]]))[0].log_softmax(-1)
        wanted = float(log_probs[range(len(ids) - 1), ids[1:]].sum())
        assert sampler.score([line])[0] == pytest.approx(wanted, abs=TOLERANCE)


CONFIGS = [
    {},
    {"activation_function": "gelu", "n_inner": 40, "layer_norm_epsilon": 1e-3},
    {"activation_function": "relu", "scale_attn_by_inverse_layer_idx": True},
    {"activation_function": "silu", "scale_attn_weights": False},
    {"activation_function": "tanh", "tie_word_embeddings": False},
]


@pytest.mark.parametrize("options", CONFIGS)
def test_a_gpt2_of_transformers_gives_its_logits(options, tmp_path):
    transformers = pytest.importorskip("transformers", reason="of the extra bench")
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        vocab_size=9,
        n_positions=12,
        n_embd=24,
        n_layer=2,
        n_head=3,
        bos_token_id=7,
        eos_token_id=8,
        **options,
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(tmp_path / "gpt2")
    # The ids 7 and 8 start and stop; 6 is padding.
    (tmp_path / "tokens.json").write_text(json.dumps([*LETTERS, None, None, None]))
    sampler = exported(tmp_path / "gpt2", tmp_path, "--tokens", tmp_path / "tokens.json")
    assert kernel_of(tmp_path / "artifact") in _core.kernels()
    for line in ("a", "fed", "abcdefabc"):
        ids = [7, *map(LETTERS.index, line), 8]
        with torch.inference_mode():
            logits = model(torch.tensor([ids[:-1]])).logits[0]
        made = [*range(6), 8]
        log_probs = logits[:, made].log_softmax(-1)
        wanted = float(log_probs[range(len(ids) - 1), [made.index(i) for i in ids[1:]]].sum())
        assert sampler.score([line])[0] == pytest.approx(wanted, abs=TOLERANCE)


def test_a_folder_of_transformers_brings_its_tokenizer(tmp_path):
    weights, _, forward = nanogpt(bias=True, vocab=9)
    folder = tmp_path / "gpt2"
    folder.mkdir()
    from safetensors.torch import save_file

    turned = {
        name: weight.T.contiguous() if ".c_" in name and weight.dim() == 2 else weight.clone()
        for name, weight in weights.items()
        if name != "lm_head.weight"
    }
    save_file(turned, folder / "model.safetensors")
    config = {"model_type": "gpt2", "n_head": 3, "activation_function": "gelu"}
    config |= {"bos_token_id": 0, "eos_token_id": 1}
    (folder / "config.json").write_text(json.dumps(config))
    vocab = {"<s>": 0, "</s>": 1, "[UNK]": 2, "C": 3, "Cl": 4, "Br": 5, "(": 6, ")": 7, "=": 8}
    special = [{"content": text, "special": True} for text in ("<s>", "</s>")]
    tokenizer = {"model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer | {"added_tokens": special}))
    sampler = exported(folder, tmp_path)
    assert sampler.artifact.level == "token"
    assert sampler.artifact.tokens == ("C", "Cl", "Br", "(", ")", "=")
    ids = [0, 4, 3, 6, 5, 7, 1]
    made = [1, *range(3, 9)]
    log_probs = forward(torch.tensor([ids[:-1]]))[0][:, made].log_softmax(-1)
    wanted = float(log_probs[range(6), [made.index(i) for i in ids[1:]]].sum())
    assert sampler.score(["ClC(Br)"])[0] == pytest.approx(wanted, abs=TOLERANCE)
    merges = {"model": {"type": "BPE", "vocab": vocab, "merges": [["C", "l"]]}}
    (folder / "tokenizer.json").write_text(json.dumps(merges))
    assert "is a byte-pair tokenizer" in refusal(mm_export, folder, "-o", tmp_path / "other")


class Recurrent(nn.Module):
    def __init__(self, kind, *, bias, width=12):
        super().__init__()
        self.encoder = nn.Embedding(7, 12)
        self.rnn = kind(12, width, 2, batch_first=True, bias=bias)
        self.decoder = nn.Linear(width, 7, bias=bias)

    def forward(self, tokens):
        return self.decoder(self.rnn(self.encoder(tokens))[0])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_networks_of_pytorch(kind, bias, tmp_path, tokens):
    torch.manual_seed(2)
    model = Recurrent(kind, bias=bias, width=20)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "model.pt")
    sampler = exported(tmp_path / "model.pt", tmp_path, *tokens)
    assert sampler.artifact.model.type == kind.__name__.lower()
    ids = [0, 3, 1, 6, 0]
    log_probs = model(torch.tensor([ids[:-1]]))[0].log_softmax(-1).detach()
    wanted = float(log_probs[range(4), ids[1:]].sum())
    assert sampler.score(["caf"])[0] == pytest.approx(wanted, abs=TOLERANCE)


def test_names_are_mapped_where_shapes_do_not_tell(tmp_path, tokens):
    model = Recurrent(nn.GRU, bias=False)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    said = refusal(mm_export, tmp_path / "model.pt", "-o", tmp_path / "artifact", *tokens)
    assert "2 modules may be the embedding: encoder, decoder" in said
    assert "--map embedding=NAME" in said
    words = ["--map", "embedding=encoder", "--map", "head=decoder"]
    sampler = exported(tmp_path / "model.pt", tmp_path, *tokens, *words)
    log_probs = model(torch.tensor([[0]]))[0].log_softmax(-1).detach()
    assert sampler.score([""])[0] == pytest.approx(float(log_probs[0, 0]), abs=TOLERANCE)
    bad = refusal(mm_export, tmp_path / "model.pt", "-o", tmp_path / "b", *tokens, "--map", "x=y")
    assert "--map is 'x=y'; it must be embedding=NAME, rnn=NAME or head=NAME" in bad


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("save", [torch.save, lambda x, file: file.write_bytes(pickle.dumps(x))])
@pytest.mark.parametrize("source_format", [None, *IMPORTERS])
def test_a_hostile_checkpoint_runs_no_code(save, source_format, tmp_path):
    file, ran = tmp_path / "model.pt", tmp_path / "ran"
    save({"model": Hostile(ran)}, file)
    words = [] if source_format is None else ["--from", source_format]
    said = refusal(mm_export, file, "-o", tmp_path / "artifact", *words)
    assert "only tensors and plain values are read" in said
    assert not ran.exists()
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "holds list; a state dict is needed"),
        ({"a": torch.zeros(2)}, "its tensors are of no format that is known here"),
        ({"a": 1}, "'a' is int; a state dict holds tensors"),
        ({}, "holds no tensors"),
        ({"logits": torch.zeros(3)}, r"tensor 'logits' is [3]; ['any', 'any'] is needed"),
        ({"logits": torch.zeros(3, 3)}, "6 tokens are given; the model has 2"),
        ({"logits": torch.zeros(0, 0)}, "is needed"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_its_reason(content, message, tmp_path, tokens):
    torch.save(content, tmp_path / "model.pt")
    said = refusal(mm_export, tmp_path / "model.pt", "-o", tmp_path / "artifact", *tokens)
    assert message in said
    assert not (tmp_path / "artifact").exists()


def test_options_that_are_missing_or_of_no_use_are_named(tmp_path, tokens):
    torch.save({"logits": torch.zeros(7, 7)}, tmp_path / "model.pt")
    words = [tmp_path / "model.pt", "-o", tmp_path / "artifact"]
    assert "give --text, its names.txt, or --tokens" in refusal(mm_export, *words)
    assert "--max-steps is for training" in refusal(mm_export, *words, *tokens, "--max-steps", "5")
    weights, sizes, _ = nanogpt(bias=True)
    torch.save(weights, tmp_path / "transformer.pt")
    words = [tmp_path / "transformer.pt", "-o", tmp_path / "artifact", *tokens]
    assert "how many heads: give --n-head" in refusal(mm_export, *words)
    assert "n_head is 5; it must divide the width, 24" in refusal(mm_export, *words, "--n-head", 5)
    torch.save({"model": weights, "model_args": sizes}, tmp_path / "ckpt.pt")
    (tmp_path / "letters.json").write_text(json.dumps([*LETTERS, "g"]))
    words = [tmp_path / "ckpt.pt", "-o", tmp_path / "artifact"]
    assert "give --text, the input.txt" in refusal(mm_export, *words)
    letters = ["--tokens", tmp_path / "letters.json"]
    assert "no token is a line end" in refusal(mm_export, *words, *letters)
    (tmp_path / "text.txt").write_text("abc\n")
    assert "--map is for the checkpoint of another" in refusal(
        mm_export, tmp_path / "text.txt", "-o", tmp_path / "artifact", "--map", "head=x"
    )
