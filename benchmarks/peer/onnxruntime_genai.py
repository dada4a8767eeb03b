"""onnxruntime-genai, on a decoder graph of the form that its model builder writes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime_genai as og
from makemore_export.models.transformer import Transformer

from peer import STOP, Peer, Source, batches
from peer.gqa_graph import INPUTS, Graph


def genai_config(model: Transformer) -> dict[str, object]:
    config = model.config
    vocab_size = model.token_embedding.num_embeddings
    past, present = "past_key_values.%d.{}", "present.%d.{}"
    decoder = {
        "session_options": {"intra_op_num_threads": 1, "inter_op_num_threads": 1},
        "filename": "model.onnx",
        "head_size": config.n_embd // config.n_head,
        "hidden_size": config.n_embd,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_head,
        "num_hidden_layers": config.n_layer,
        "inputs": {name: name for name in INPUTS}
        | {f"past_{kind}_names": past.format(kind) for kind in ("key", "value")},
        "outputs": {"logits": "logits"}
        | {f"present_{kind}_names": present.format(kind) for kind in ("key", "value")},
    }
    return {
        "model": {
            "type": "llama",  # any decoder of these inputs and outputs
            "decoder": decoder,
            "vocab_size": vocab_size,
            "context_length": config.block_size,
            "bos_token_id": vocab_size,
            "eos_token_id": STOP,
            "pad_token_id": STOP,
        },
        "search": {"past_present_share_buffer": True},
    }


class Genai(Peer):
    """A row that has stopped is padded until the last of its batch has; no logits of prompts."""

    largest_batch = 32  # its limit, since 0.18

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.start = len(self.letters)
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(Graph(source.transformer).prompts(), Path(folder) / "model.onnx")
            text = json.dumps(genai_config(source.transformer))
            (Path(folder) / "genai_config.json").write_text(text)
            self.model = og.Model(folder)

    def generate(self, n: int, batch_size: int, seed: int) -> list[list[int]]:
        made = []
        for number, rows in enumerate(batches(n, batch_size)):
            options = og.GeneratorParams(self.model)
            options.set_search_options(
                batch_size=rows,
                max_length=1 + self.max_length,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                random_seed=(seed + 1_000_003 * number) % 2**31,
            )
            generator = og.Generator(self.model, options)
            generator.append_tokens(np.full((rows, 1), self.start, np.int32))
            while not generator.is_done():
                generator.generate_next_token()
            made += [generator.get_sequence(row)[1:].tolist() for row in range(rows)]
        return made


def load(source: Source) -> Peer:
    return Genai(source)
