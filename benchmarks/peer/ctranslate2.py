"""`generate_batch` of CTranslate2, on the weights as a GPT-2 of transformers."""

from __future__ import annotations

import tempfile

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from peer import STOP, NotComparableError, Peer, Source
from peer.transformers import gpt2


class CTranslate2(Peer):
    """It drops the rows of a batch that have stopped; the next batch waits for the last."""

    def __init__(self, source: Source, compute_type: str) -> None:
        super().__init__(source)
        if compute_type == "int8":
            self.largest_error = 0.5
        if source.half and source.device == "cpu":
            raise NotComparableError("it refuses float16 on a CPU")
        spec = ctranslate2.converters.transformers.GPT2Loader().get_model_spec(
            gpt2(source.transformer)
        )
        self.names = [str(token) for token in range(len(self.letters))]
        spec.register_vocabulary(self.names)
        spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = self.names[STOP]
        with tempfile.TemporaryDirectory() as folder:
            spec.validate()
            spec.save(folder)
            self.generator = ctranslate2.Generator(
                folder,
                device=source.device,
                compute_type=compute_type,
                inter_threads=1,
                intra_threads=1,
            )

    def generate(self, n: int, batch_size: int, seed: int) -> list[list[int]]:
        ctranslate2.set_random_seed(seed)
        made = self.generator.generate_batch(
            [[self.names[STOP]]] * n,
            max_batch_size=batch_size,
            max_length=self.max_length,
            sampling_topk=0,
            include_prompt_in_result=False,
        )
        return [result.sequences_ids[0] for result in made]

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        logits = self.generator.forward_batch(tokens.tolist())
        return np.array(logits.to_device(ctranslate2.Device.cpu))


def load(source: Source, compute_type: str = "") -> Peer:
    return CTranslate2(source, compute_type or ("float16" if source.half else "float32"))
