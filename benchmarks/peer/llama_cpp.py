"""The weights as a GPT-2 of llama.cpp, whose library build_llama_cpp.py makes, in a loop in C++."""

from __future__ import annotations

import ctypes
import os
import tempfile
from pathlib import Path

import gguf
from makemore_export.models.transformer import Transformer

from peer import NotComparableError, Peer, Source
from peer.build_llama_cpp import BUILT
from peer.cpp_loop import CppLoop

MODULES = {
    "token_embedding": "token_embd",
    "position_embedding": "position_embd",
    "ln_1": "attn_norm",
    "attention": "attn_qkv",
    "projection": "attn_output",
    "ln_2": "ffn_norm",
    "mlp_up": "ffn_up",
    "mlp_down": "ffn_down",
    "ln": "output_norm",
    "head": "output",
}
"""Ours: what GGUF calls them."""


class LlamaCpp(CppLoop):
    """The rows are sequences of one cache."""

    largest_batch = 256  # its limit of sequences
    # Its flash attention reads caches in float16 alone, and its GELU is a table in float16: 2e-3.
    # With a GELU in float32, which is slower, it was 1.5e-3.
    largest_error = 5e-3

    def __init__(self, source: Source) -> None:
        model = source.transformer
        if not BUILT.is_dir():
            raise NotComparableError("not built: run python benchmarks/peer/build_llama_cpp.py")
        libraries = BUILT / "lib"
        folders = (f"-I{BUILT / 'include'}", f"-L{libraries}", f"-Wl,-rpath,{libraries}")
        names = ("-lllama", "-lggml", "-lggml-cpu", "-lggml-base")
        super().__init__(source, "llama_cpp.cpp", *folders, *names)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.gguf"
            write(model, path)
            longest = ctypes.c_uint32(1 + self.max_length)
            self.open(os.fsencode(path), ctypes.c_size_t(len(self.letters)), longest)


def write(model: Transformer, path: Path) -> None:
    """As GGUF in float32, without a tokenizer."""
    config = model.config
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(model.token_embedding.num_embeddings)
    writer.add_context_length(config.block_size)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(config.hidden)
    writer.add_block_count(config.n_layer)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.epsilon)
    for name, weight in model.state_dict().items():
        *block, module, kind = name.split(".")  # blocks.3.ln_1.bias becomes blk.3.attn_norm.bias
        writer.add_tensor(
            ".".join(["blk", *block[1:]] * bool(block) + [MODULES[module], kind]), weight.numpy()
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load(source: Source) -> Peer:
    return LlamaCpp(source)
