"""Ways to sample from the weights of one model, each behind the same interface.

A module here is a peer: its `load(source)` converts the weights and gives a `Peer`; some take
options, such as int8. Libraries are imported with the module, so a process that loads one peer
holds no other's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from makemore_export.models import Model
    from makemore_export.models.transformer import Transformer
    from makemore_export.runs.checkpoint import Checkpoint

OURS, COLD = "makemore", "makemore, cold"

PEERS = {
    OURS: "makemore",
    COLD: "makemore cold",
    "makemore, float16": "makemore half",
    "makemore, float16, cold": "makemore half cold",
    "makemore, int8": "makemore int8",
    "makemore, int8, cold": "makemore int8 cold",
    "JAX": "jax",
    "CTranslate2": "ctranslate2",
    "CTranslate2, int8": "ctranslate2 int8",
    "onnxruntime in C++": "onnxruntime_loop",
    "onnxruntime in C++, int8": "onnxruntime_loop int8",
    "llama.cpp": "llama_cpp",
    "onnxruntime": "onnxruntime",
    "onnxruntime-genai": "onnxruntime_genai",
    "OpenVINO": "openvino",
    "TorchScript": "torchscript",
    "torch.compile": "compiled_step",
    "eager PyTorch, cached": "eager_cached",
    "eager PyTorch": "eager",
    "transformers": "transformers",
}
"""What a table calls it: its module, and what that is to load."""

OUR_PEERS = frozenset(name for name in PEERS if name.startswith(OURS))

STOP = 0
LONGEST = 15
"""Characters of a string at most: the longest name of names.txt."""

Rows = Iterable[Sequence[int]] | NDArray[np.integer]
"""Token ids of strings; what follows a stop counts for nothing."""

FEW = 16
"""Strings that Python joins sooner than NumPy."""


class NotComparableError(Exception):
    """Why a peer is not timed."""


@dataclass(frozen=True)
class Source:
    """What peers are made of: an artifact, and the run of training beside it."""

    artifact: Path
    device: str = "cpu"
    half: bool = False
    """In float16."""

    @cached_property
    def checkpoint(self) -> Checkpoint:
        from makemore_export.runs import checkpoint  # noqa: PLC0415 brings PyTorch in

        return checkpoint.load(
            self.artifact.with_name(f"{self.artifact.name}.run") / "best.safetensors"
        )

    @cached_property
    def model(self) -> Model:
        """The trained model, on the CPU."""
        model = self.checkpoint.run.new_model().eval()
        model.load_state_dict(self.checkpoint.weights)
        if self.half:
            model.half()
        return model.requires_grad_(requires_grad=False)

    @property
    def transformer(self) -> Transformer:
        """The model, for peers that know no other; raises `NotComparableError`."""
        if self.checkpoint.run.model != "transformer":
            raise NotComparableError("for transformers only")
        return cast("Transformer", self.model)

    @property
    def letters(self) -> list[str]:
        """What token ids stand for; `STOP` is no character of any string."""
        return ["\0", *self.checkpoint.run.tokens]

    @property
    def max_length(self) -> int:
        """Characters at which a string is cut."""
        return min(LONGEST, self.checkpoint.run.max_length)


class Peer(ABC):
    """Samples from the model as it is: temperature 1, nothing truncated, one thread."""

    largest_batch = 4_096
    largest_error = 1e-3
    """Of a string's log-probability, some -15; float32 gives 1e-5."""

    def __init__(self, source: Source) -> None:
        self.max_length, self.letters = source.max_length, source.letters

    def sample(self, n: int, batch_size: int, seed: int) -> list[str]:
        """So many strings, each up to its stop or `max_length` characters."""
        rows, letters = self.generate(n, batch_size, seed), self.letters
        if isinstance(rows, np.ndarray):
            if n > FEW:
                return join(rows, letters)
            rows = rows.tolist()
        return ["".join([letters[i] for i in row]).partition(letters[STOP])[0] for row in rows]

    @abstractmethod
    def generate(self, n: int, batch_size: int, seed: int) -> Rows:
        """Token ids of n strings, at most `batch_size` of them at a time."""

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32] | None:  # noqa: ARG002
        """Logits (B, T, V) after each of tokens (B, T), or None where the library gives none."""
        return None


def load(words: str, source: Source) -> Peer:
    """The peer of one of `PEERS`. Raises ImportError where its library is not installed,
    `NotComparableError` where it cannot run the model.
    """
    module, *options = words.split()
    return cast("Peer", import_module(f"peer.{module}").load(source, *options))


def batches(n: int, batch_size: int) -> list[int]:
    """Sizes of the batches that n strings are made in."""
    return [min(batch_size, n - first) for first in range(0, n, batch_size)]


def join(ids: NDArray[np.integer], letters: Sequence[str]) -> list[str]:
    """The strings of ids (n, T); NumPy ends a string at null characters, which stops become."""
    made = np.logical_and.accumulate(ids != STOP, axis=1)
    characters = np.array(letters)[np.where(made, ids, STOP)]  # (n, T)
    return np.ascontiguousarray(characters).view(f"U{ids.shape[1]}")[:, 0].tolist()


def encode(strings: Sequence[str], letters: Sequence[str]) -> NDArray[np.int64]:
    """Tokens (B, T): the start, then each string's, filled up with stops."""
    ids = {letter: i for i, letter in enumerate(letters)}
    tokens = np.zeros((len(strings), 1 + max(map(len, strings))), np.int64)
    for row, string in zip(tokens, strings, strict=True):
        row[1 : 1 + len(string)] = [ids[letter] for letter in string]
    return tokens


def log_probs(
    logits: NDArray[np.float32], strings: Sequence[str], letters: Sequence[str]
) -> list[float]:
    """Log-probability of each string, its stop included; `logits` are those after `encode`."""
    weights = np.exp(logits.astype(np.float64))
    shares = np.log(weights / weights.sum(-1, keepdims=True))  # (B, T, V)
    following = np.pad(encode(strings, letters)[:, 1:], ((0, 0), (0, 1)))
    log_probs = np.take_along_axis(shares, following[..., None], axis=-1)[..., 0]  # (B, T)
    lengths = np.array([*map(len, strings)])
    return np.where(np.arange(log_probs.shape[1]) <= lengths[:, None], log_probs, 0).sum(1).tolist()
