"""The transformer's weights as a GPT-2 of transformers, and its `generate`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from makemore_export.models.transformer import Transformer
from transformers import GPT2Config, GPT2LMHeadModel

Generate = Callable[[int], list[list[int]]]
"""Makes so many strings, as token ids until their stop."""

STOP = 0


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
    tokens = torch.arange(config.block_size)[None] % config.block_size % peer.config.vocab_size
    with torch.inference_mode():
        torch.testing.assert_close(peer(tokens).logits, model(tokens), atol=1e-4, rtol=0)
    return peer


def generate_of(
    model: Transformer, max_length: int, device: str, *, half: bool = False
) -> Generate:
    """`generate` of transformers, with its cache; `half`: in float16."""
    peer = gpt2(model.to("cpu")).to(device)
    model.to(device)
    if half:
        peer.half()

    @torch.inference_mode()
    def generate(rows: int) -> list[list[int]]:
        start = torch.zeros(rows, 1, dtype=torch.int64, device=device)
        said = peer.generate(
            start,
            attention_mask=torch.ones_like(start),
            do_sample=True,
            top_k=0,
            max_new_tokens=max_length,
        )
        return [until_stop(row) for row in said[:, 1:].tolist()]

    return generate


def until_stop(ids: list[int]) -> list[int]:
    """The ids before the first stop."""
    return ids[: ids.index(STOP)] if STOP in ids else ids
