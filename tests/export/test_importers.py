"""Checkpoints of other programs: an artifact gives what the program gave."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import makemore
import numpy as np
import pytest
import safetensors.torch
import torch
from commands import run
from makemore import _core
from makemore.errors import CheckpointError, OptionError
from makemore.runtime.onnxruntime_library import open_library
from makemore_export.commands.export import main as mm_export
from makemore_export.importers import (
    IMPORTERS,
    Given,
    TensorFile,
    format_of,
    read_model,
    read_tensors,
)
from makemore_export.importers.tokenizer_json import read_tokens
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
    has_kernel = kernel_of(tmp_path / "artifact") in _core.kernels()
    assert has_kernel == (kind not in {"rnn", "gru"})  # whose cells are not those of PyTorch
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


PLAIN = {"type": "WordLevel", "vocab": {"<s>": 0, "a": 1}, "unk_token": None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {**PLAIN, "type": "WordPiece"}}, "is a tokenizer 'WordPiece'"),
        ({"model": {**PLAIN, "type": "Unigram"}}, "is a tokenizer 'Unigram'"),
        (
            {"model": {**PLAIN, "type": "BPE", "end_of_word_suffix": "</w>"}},
            "has a end_of_word_suffix",
        ),
        (
            {"pre_tokenizer": {"type": "ByteLevel"}},
            "has a pre_tokenizer 'ByteLevel', which changes",
        ),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "has a pre_tokenizer 'Whitespace'"),
        (
            {
                "pre_tokenizer": {
                    "type": "Sequence",
                    "pretokenizers": [{"type": "Split", "behavior": "Removed"}],
                }
            },
            "has a pre_tokenizer 'Split'",
        ),
        ({"normalizer": {"type": "Prepend"}}, "has a normalizer 'Prepend'"),
        ({"decoder": {"type": "Metaspace"}}, "has a decoder 'Metaspace'"),
        ({"model": {**PLAIN, "vocab": {"a": 9}}}, "not a tokenizer of 3 ids: .*id 9 of token 'a'"),
        ({"model": {**PLAIN, "vocab": {"a": -1}}}, "not a tokenizer of 3 ids: .*id -1 of"),
        ({"model": {**PLAIN, "vocab": {"a": "b"}}}, "not a tokenizer of 3 ids"),
        ({"model": []}, "not a tokenizer of 3 ids"),
        ({"decoder": {}}, "not a tokenizer of 3 ids"),
    ],
)
def test_a_tokenizer_whose_tokens_are_no_texts_is_refused(change, message, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": PLAIN, **change}))
    with pytest.raises((CheckpointError, OptionError), match=message):
        read_tokens(tmp_path, 3)


def test_a_tokenizer_s_added_tokens_are_texts_unless_they_are_special(tmp_path):
    added = [{"id": 2, "content": "b"}, {"id": 0, "content": "<s>", "special": True}]
    split = {"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated"}
    tokenizer = {"model": PLAIN, "added_tokens": added, "pre_tokenizer": split}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert read_tokens(tmp_path, 4) == [None, "a", "b", None]


@pytest.mark.parametrize("content", [b"\xff", b"[" * 100_000, b"[1]", b"{"])
def test_json_that_is_none_is_refused(content, tmp_path):
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tokenizer.json: "):
        read_tokens(tmp_path, 3)
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert "config.json: " in refusal(mm_export, tmp_path, "-o", tmp_path / "artifact")
    (tmp_path / "tokens.json").write_bytes(content)
    torch.save({"logits": torch.zeros(2, 2)}, tmp_path / "model.pt")
    words = ["--tokens", tmp_path / "tokens.json", "-o", tmp_path / "artifact"]
    assert "must be a JSON list of strings" in refusal(mm_export, tmp_path / "model.pt", *words)


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


def test_one_of_two_stacks_is_named(tmp_path, tokens):
    torch.manual_seed(4)
    model = Recurrent(nn.GRU, bias=True, width=20)
    other = {f"other.{name}": torch.zeros(3, 3) for name in ("weight_ih_l0", "weight_hh_l0")}
    # A head whose name begins as that of the stack does.
    named = {name.replace("decoder", "rnn_head"): t for name, t in model.state_dict().items()}
    torch.save({**named, **other}, tmp_path / "model.pt")
    words = [tmp_path / "model.pt", "--from", "torch-rnn", *tokens]
    said = refusal(mm_export, *words, "-o", tmp_path / "none")
    assert "there are 2 recurrent stacks; name one: --map rnn=NAME" in said
    sampler = exported(words[0], tmp_path, *words[1:], "--map", "rnn=rnn")
    log_probs = model(torch.tensor([[0]]))[0].log_softmax(-1).detach()
    assert sampler.score([""])[0] == pytest.approx(float(log_probs[0, 0]), abs=TOLERANCE)


def test_float16_is_compared_with_what_was_imported(tmp_path, tokens):
    logits = torch.randn(7, 7)
    torch.save({"logits": logits}, tmp_path / "model.pt")
    (tmp_path / "text.txt").write_text("abc\nfed\nunknown\n")
    words = [*tokens, "--half", "--text", tmp_path / "text.txt"]
    sampler = exported(tmp_path / "model.pt", tmp_path, *words)
    report = json.loads((tmp_path / "artifact" / "report.json").read_text())
    assert sampler.artifact.model.precision == "float16"
    assert 0 < report["verification"][0]["largest_difference"] < 0.01
    assert report["float16_losses"]["text.txt"] == pytest.approx(
        report["losses"]["text.txt"], abs=0.01
    )
    torch.save({"logits": 4000.7 + logits}, tmp_path / "model.pt")
    said = refusal(mm_export, tmp_path / "model.pt", "-o", tmp_path / "b", *words, code=1)
    assert "is off by" in said


def test_int8_is_compared_with_the_rounded_import(tmp_path):
    torch.save(Recurrent(nn.GRU, bias=True).state_dict(), tmp_path / "model.pt")
    (tmp_path / "tokens.json").write_text(json.dumps([None, "a", "b", "ab", "c", "d", "e"]))
    (tmp_path / "text.txt").write_text("abc\nded\n")
    words = ["--tokens", tmp_path / "tokens.json", "--text", tmp_path / "text.txt", "--int8"]
    words += ["--map", "embedding=encoder", "--map", "head=decoder"]
    sampler = exported(tmp_path / "model.pt", tmp_path, *words)
    report = json.loads((tmp_path / "artifact" / "report.json").read_text())
    assert sampler.artifact.model.precision == "int8"
    assert kernel_of(tmp_path / "artifact") in _core.kernels()
    assert report["verification"][0]["largest_difference"] < TOLERANCE
    assert report["int8_losses"]["text.txt"] == pytest.approx(
        report["losses"]["text.txt"], abs=0.02
    )


def test_the_longest_string_of_a_recurrent_model_is_that_of_the_text(tmp_path):
    torch.save(Recurrent(nn.GRU, bias=True).state_dict(), tmp_path / "model.pt")
    (tmp_path / "tokens.json").write_text(json.dumps([None, "a", "b", "ab", "c", "d", "e"]))
    (tmp_path / "text.txt").write_text("abab\n" + "x" * 30 + "\n" + "ab" * 60_000 + "\n")
    words = ["--tokens", tmp_path / "tokens.json", "--text", tmp_path / "text.txt"]
    words += ["--map", "embedding=encoder", "--map", "head=decoder"]
    assert exported(tmp_path / "model.pt", tmp_path, *words).artifact.max_length == 60_000


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


@pytest.mark.parametrize("content", [b"\x80\x02.", b"\x80\x02X\x05", b"PK\x03\x04", b"\x80\x04"])
def test_a_file_of_torch_that_is_broken_is_refused(content, tmp_path):
    (tmp_path / "model.pt").write_bytes(content)
    said = refusal(mm_export, tmp_path / "model.pt", "-o", tmp_path / "artifact")
    assert "model.pt: " in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, 2, device="meta"),
        torch.zeros(1).expand(2**40),
        torch.zeros(2, 2, dtype=torch.complex64),
        torch.eye(2).to_sparse(),
    ],
)
def test_a_tensor_that_the_file_does_not_hold_is_refused(tensor, tmp_path):
    torch.save({"logits": tensor}, tmp_path / "model.pt")
    said = refusal(mm_export, tmp_path / "model.pt", "-o", tmp_path / "artifact")
    assert "tensor 'logits' is not one of plain numbers" in said


def damaged(tensors):
    """The state dict with each tensor in turn left out, of integers, or of another shape."""
    for name, tensor in tensors.items():
        yield {key: t for key, t in tensors.items() if key != name}
        yield {**tensors, name: torch.zeros(tensor.shape, dtype=torch.int32)}
        yield {**tensors, name: tensor[None]}
        yield {**tensors, name: tensor[..., :1]}


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"there is no {SHARED}")
@pytest.mark.parametrize("kind", MAKEMORE)
def test_a_damaged_checkpoint_is_read_or_refused(kind):
    whole = read_tensors(SHARED / f"makemore-{kind}.pt")
    letters = tuple("abcdefghijklmnopqrstuvwxyz")
    given = Given(tokens=letters, n_head=4 if kind == "transformer" else None)

    def is_refused(tensors):
        try:
            read_model(whole._replace(tensors=tensors), "makemore", given)
        except (CheckpointError, OptionError):
            return True
        return False

    assert sum(map(is_refused, damaged(whole.tensors))) >= 2 * len(whole.tensors)


def test_what_a_gpt2_says_of_itself_is_checked(tmp_path):
    weights, _, _ = nanogpt(bias=True)
    file = TensorFile({**weights, "lm_head.weight": torch.zeros(7, 9)}, {}, tmp_path)
    with pytest.raises(CheckpointError, match=r"'lm_head.weight' is \[7, 9\]; \[7, 24\] is needed"):
        read_model(file, "makemore", Given(tokens=tuple(LETTERS), n_head=3))
    long = {**weights, "transformer.wpe.weight": torch.zeros(10_000, 24)}
    with pytest.raises(CheckpointError, match="knows 10,000 positions; 8,192 is the limit"):
        read_model(file._replace(tensors=long), "makemore", Given(tokens=tuple(LETTERS), n_head=3))
    for header, message in (
        ({"activation_function": []}, r"activation_function is \[\]; known are"),
        ({"layer_norm_epsilon": None}, "layer_norm_epsilon of the config is None"),
        ({"n_head": "x"}, "n_head of the config is 'x'"),
    ):
        source = TensorFile(weights, {"model_type": "gpt2", **header}, tmp_path / "model")
        with pytest.raises(CheckpointError, match=message):
            read_model(source, "transformers", Given(tokens=(None, *LETTERS)))


def test_options_that_are_missing_or_of_no_use_are_named(tmp_path, tokens):
    torch.save({"logits": torch.zeros(7, 7)}, tmp_path / "model.pt")
    words = [tmp_path / "model.pt", "-o", tmp_path / "artifact"]
    assert "give --text, its names.txt, or --tokens" in refusal(mm_export, *words)
    assert "--max-steps is for training" in refusal(mm_export, *words, *tokens, "--max-steps", "5")
    weights, sizes, _ = nanogpt(bias=True)
    torch.save(weights, tmp_path / "transformer.pt")
    words = [tmp_path / "transformer.pt", "-o", tmp_path / "artifact", *tokens]
    assert "how many heads: give --n-head" in refusal(mm_export, *words)
    assert "--map is of no use for a checkpoint of makemore" in refusal(
        mm_export, *words, "--map", "rnn=x"
    )
    assert "--labels is for training" in refusal(mm_export, *words, "--labels")
    assert "--encoding is for --text" in refusal(mm_export, *words, "--encoding", "latin-1")
    assert "--from makemore needs a SOURCE" in refusal(
        mm_export, "--from", "makemore", "-o", tmp_path / "artifact"
    )
    bigram = [tmp_path / "model.pt", *words[1:], "--n-head", "3"]
    assert "--n-head is of no use for a bigram" in refusal(mm_export, *bigram)
    assert "n_head is 5; it must divide the width, 24" in refusal(mm_export, *words, "--n-head", 5)
    torch.save({"model": weights, "model_args": sizes}, tmp_path / "ckpt.pt")
    (tmp_path / "letters.json").write_text(json.dumps([*LETTERS, "g"]))
    words = [tmp_path / "ckpt.pt", "-o", tmp_path / "artifact"]
    assert "give --text, the input.txt" in refusal(mm_export, *words)
    assert "--n-head is of no use for a checkpoint of nanogpt" in refusal(
        mm_export, *words, "--n-head", "3"
    )
    letters = ["--tokens", tmp_path / "letters.json"]
    assert "no token is a line end" in refusal(mm_export, *words, *letters)
    (tmp_path / "text.txt").write_text("abc\n")
    assert "--tokens and --map are for the checkpoint of another" in refusal(
        mm_export, tmp_path / "text.txt", "-o", tmp_path / "artifact", "--map", "head=x"
    )


@pytest.mark.parametrize("count", [1, 5, 7])
def test_tokens_of_fewer_or_more_ids_than_a_recurrent_network_has_are_refused(count, tmp_path):
    torch.save(Recurrent(nn.GRU, bias=True).state_dict(), tmp_path / "model.pt")
    (tmp_path / "tokens.json").write_text(json.dumps([*"abcdefg"[:count]]))
    words = ["--tokens", tmp_path / "tokens.json"]
    words += ["--map", "embedding=encoder", "--map", "head=decoder"]
    said = refusal(mm_export, tmp_path / "model.pt", "-o", tmp_path / "artifact", *words)
    assert f"the tokens, with the start and stop, are {count + 1} ids; the embedding has 7" in said
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize("name", ["nanogpt", "transformers"])
@pytest.mark.parametrize(("count", "rows"), [(6, 9), (9, 7), (65, 7), (3, 65), (70, 256)])
def test_tokens_of_other_ids_than_a_gpt2_has_are_refused(name, count, rows, tmp_path):
    weights, sizes, _ = nanogpt(bias=True, vocab=rows)
    if name == "transformers":
        weights = {
            key: weight.T if ".c_" in key and weight.dim() == 2 else weight
            for key, weight in weights.items()
        }
    header = {"model_type": "gpt2", "n_head": 3, "model_args": sizes}
    tokens = ("\n", *map(chr, range(256, 255 + count)))
    given = Given(tokens=tokens if name == "nanogpt" else tokens[1:])
    with pytest.raises(OptionError, match=f"are {count} ids; the embedding has {rows}"):
        read_model(TensorFile(weights, header, tmp_path / "model"), name, given)


@pytest.mark.parametrize(("spare", "rows"), [([], 64), ([None] * 2, 9)])
def test_ids_of_a_gpt2_without_a_text_are_told_and_leave_their_probability(spare, rows, tmp_path):
    weights, sizes, forward = nanogpt(bias=True, vocab=rows)
    torch.save({"model": weights, "model_args": sizes}, tmp_path / "ckpt.pt")
    (tmp_path / "tokens.json").write_text(json.dumps(["\n", *LETTERS, *spare]))
    words = ["--tokens", tmp_path / "tokens.json", "-o", tmp_path / "artifact", "--samples", "0"]
    out, _ = run(mm_export, tmp_path / "ckpt.pt", *words)
    note = f"{rows - 7} of the {rows} ids of the model stand for no text and are never made"
    assert [line for line in out.splitlines() if line.startswith(note)]
    assert note in (tmp_path / "artifact" / "README.md").read_text()
    ids = [0, 3, 1, 0]
    log_probs = forward(torch.tensor([ids[:-1]]))[0][:, :7].log_softmax(-1)
    wanted = float(log_probs[range(3), ids[1:]].sum())
    sampler = makemore.load(tmp_path / "artifact")
    assert sampler.score(["ca"])[0] == pytest.approx(wanted, abs=TOLERANCE)
