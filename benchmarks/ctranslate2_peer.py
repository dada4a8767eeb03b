"""The transformer's weights as a GPT-2 of CTranslate2, and its `generate_batch`."""

from __future__ import annotations

import tempfile

import ctranslate2
from makemore_export.models.transformer import Transformer
from transformers_peer import STOP, Generate, gpt2, until_stop


def generate_of(
    model: Transformer, max_length: int, device: str, *, half: bool = False
) -> Generate:
    """`generate_batch` of CTranslate2; `half`: in float16, which it refuses on a CPU."""
    peer = gpt2(model.to("cpu"))
    model.to(device)
    loader = ctranslate2.converters.transformers.GPT2Loader()
    names = [str(token) for token in range(peer.config.vocab_size)]
    spec = loader.get_model_spec(peer)
    spec.register_vocabulary(names)
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = names[STOP]
    with tempfile.TemporaryDirectory() as folder:
        spec.validate()
        spec.save(folder)
        precision = "float16" if half and device == "cuda" else "float32"
        generator = ctranslate2.Generator(folder, device=device, compute_type=precision)

    def generate(rows: int) -> list[list[int]]:
        made = generator.generate_batch(
            [[names[STOP]]] * rows,
            max_batch_size=0,
            max_length=max_length,
            sampling_topk=0,
            include_prompt_in_result=False,
        )
        return [until_stop(result.sequences_ids[0]) for result in made]

    return generate
