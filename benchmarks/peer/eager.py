"""The lecture's `generate`: a forward over the whole string so far for every new character."""

from __future__ import annotations

import numpy as np
import torch
from lecture import LectureTransformer, generate
from numpy.typing import NDArray

from peer import Peer, Source, batches


class Eager(Peer):
    """All rows run to `max_length`, as in the lecture."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        torch.set_num_threads(1)
        self.model = LectureTransformer(source.transformer)

    def generate(self, n: int, batch_size: int, seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        made = [generate(self.model, rows, self.max_length) for rows in batches(n, batch_size)]
        return [row for batch in made for row in batch]

    @torch.inference_mode()
    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.model(torch.from_numpy(tokens)).numpy()


def load(source: Source) -> Peer:
    return Eager(source)
