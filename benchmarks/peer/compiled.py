"""The cached steps of a whole batch under `torch.compile`, in CUDA graphs where there is a GPU."""

from __future__ import annotations

import torch

from peer import Peer, Source
from peer.eager_cached import load as load_cached


def load(source: Source) -> Peer:
    loop = load_cached(source)
    loop.batch = torch.compile(loop.whole_batch, mode="reduce-overhead", dynamic=False)
    return loop
