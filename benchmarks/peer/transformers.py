"""`generate` of transformers, with its cache, on a GPT-2 of the same weights."""

from __future__ import annotations

import numpy as np
import torch
from makemore_export.models.transformer import Transformer
from numpy.typing import NDArray
from transformers import GPT2Config, GPT2LMHeadModel

from peer import STOP, Peer, Source, batches


def gpt2(model: Transformer) -> GPT2LMHeadModel:
    """The same function, on the CPU."""
    config, weights = model.config, model.state_dict()
    peer = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(weights["head.weight"]),
            n_positions=config.block_size,
            n_embd=config.n_embd,
            n_layer=config.n_layer,
            n_head=config.n_head,
            layer_norm_epsilon=model.ln.eps,
            tie_word_embeddings=False,
            bos_token_id=STOP,
            eos_token_id=STOP,
            pad_token_id=STOP,
        )
    ).eval()
    peer.to(model.head.weight.dtype)
    names = {"ln_1": "ln_1", "attention": "attn.c_attn", "projection": "attn.c_proj"}
    names |= {"ln_2": "ln_2", "mlp_up": "mlp.c_fc", "mlp_down": "mlp.c_proj"}
    renamed = {
        "transformer.wte.weight": weights["token_embedding.weight"],
        "transformer.wpe.weight": weights["position_embedding.weight"],
        "transformer.ln_f.weight": weights["ln.weight"],
        "transformer.ln_f.bias": weights["ln.bias"],
        "lm_head.weight": weights["head.weight"],
    }
    for layer in range(config.n_layer):
        for ours, theirs in names.items():
            weight = weights[f"blocks.{layer}.{ours}.weight"]
            # Their Conv1D holds a matrix the other way round.
            renamed[f"transformer.h.{layer}.{theirs}.weight"] = (
                weight.T if weight.dim() > 1 else weight
            )
            renamed[f"transformer.h.{layer}.{theirs}.bias"] = weights[f"blocks.{layer}.{ours}.bias"]
    missing, unexpected = peer.load_state_dict(renamed, strict=False)
    if unexpected or any(not name.endswith((".attn.bias", ".masked_bias")) for name in missing):
        raise ValueError(f"not the weights of a GPT-2: {missing}, {unexpected}")
    return peer


class Transformers(Peer):
    """A row that has stopped is padded until the last has."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        torch.set_num_threads(1)
        self.device = source.device
        self.model = gpt2(source.transformer).to(source.device)

    @torch.inference_mode()
    def generate(self, n: int, batch_size: int, seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        made = []
        for rows in batches(n, batch_size):
            start = torch.full((rows, 1), STOP, device=self.device)
            generated = self.model.generate(
                start,
                attention_mask=torch.ones_like(start),
                do_sample=True,
                top_k=0,
                max_new_tokens=self.max_length,
            )
            made += generated[:, 1:].tolist()
        return made

    @torch.inference_mode()
    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.model(torch.from_numpy(tokens).to(self.device)).logits.float().cpu().numpy()


def load(source: Source) -> Peer:
    return Transformers(source)
