"""The cached steps of a whole batch, captured once in a CUDA graph and replayed.

Not yet run on a GPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from peer import NotComparableError, Peer, Source
from peer.eager_cached import load as load_cached


def load(source: Source) -> Peer:
    if source.device != "cuda":
        raise NotComparableError("a CUDA graph needs a GPU")
    loop = load_cached(source)
    captured: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}

    def capture(rows: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        side = torch.cuda.Stream()  # libraries are set up outside the capture
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            loop.whole_batch(rows)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            generated = loop.whole_batch(rows)
        return graph, generated

    def batch(rows: int) -> Tensor:
        if rows not in captured:
            captured[rows] = capture(rows)
        graph, generated = captured[rows]
        graph.replay()
        return generated

    loop.batch = batch
    return loop
