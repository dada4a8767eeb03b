"""Proof that an exported file is the model: compared through the runtime that will use it."""

from __future__ import annotations

from pathlib import Path

import makemore
import msgspec
import numpy as np
import torch
from makemore.artifact import Artifact, Precision
from makemore.errors import ExportError
from makemore.step import Step
from numpy.typing import NDArray

from makemore_export.models import Model
from makemore_export.models.foreign import SequenceModel

# Of float16, with 11 bits, logits between 16 and 32 are 1/64 apart, and each layer rounds too:
# 0.026 is the most that was seen (an LSTM, over random tokens). Of int8, inputs of products may be
# rounded to 16 bits: 0.001 (a transformer). A wrong weight does more.
TOLERANCE: dict[Precision, float] = {"float32": 1e-4, "float16": 0.1, "int8": 0.01}
"""Largest difference of a logit that is not a mismatch."""

BATCH_SIZES = (1, 2, 7, 64)
_POSITIONS = 16  # tried where the model has no last position
_MOST_LOGITS = 2**27  # compared at once: 512 MiB
_SEED = 0
MAX_BYTES = 2**62
"""An export may be of any size."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """`logits` were compared, `largest_difference` found; `golden` samples came out the same."""

    file: str
    batch_sizes: tuple[int, ...]
    positions: int
    logits: int
    largest_difference: float
    golden: int


def batches(model: Model, vocab_size: int) -> list[tuple[int, int]]:
    """Rows and positions of each batch that is compared: every position of the first, and of the
    others as many as have at most `_MOST_LOGITS` logits, or 16.

    A sequence module computes every position whatever is asked for: its batches have fewer rows.
    """
    positions = model.block_size or _POSITIONS
    found = []
    most = max(2, _MOST_LOGITS // (positions * vocab_size))
    for size in BATCH_SIZES:
        rows = min(size, most) if isinstance(model, SequenceModel) else size
        fit = max(_POSITIONS, _MOST_LOGITS // (rows * vocab_size))
        found.append((rows, positions if rows == 1 else min(positions, fit)))
    return sorted(set(found))


def verify(file: Path, model: Model, artifact: Artifact) -> Verification:
    """Loads `file` with `makemore.load` and compares it with `model`, on the CPU and in eval mode.

    `model` is float32, also where the file is float16. Every position, several batch sizes, random
    tokens after the start; then the golden samples. `ExportError` on the first mismatch.
    """
    # What was just written is trusted, but an ONNX file must load without trust.
    trust = file.suffix == ".ts"
    sampler = makemore.load(file, threads=1, trust=trust, max_bytes=MAX_BYTES)
    vocab_size = len(artifact.vocabulary)
    precision = artifact.model.precision
    # TorchScript rounds no inputs: to it int8 are floats.
    tolerance = TOLERANCE["float32" if trust and precision == "int8" else precision]
    rng = np.random.default_rng(_SEED)
    worst = 0.0
    compared = batches(model, vocab_size)
    for rows, positions in compared:
        tokens = rng.integers(vocab_size, size=(rows, positions))
        tokens[:, 0] = 0
        with torch.inference_mode():
            expected = model(torch.from_numpy(tokens)).numpy()  # (B, T, V)
        difference = _differences(sampler.new_step(), tokens, expected)
        if not difference.max() <= tolerance:
            row, position, token = np.unravel_index(difference.argmax(), difference.shape)
            raise ExportError(
                f"{file.name}: logit {token} at position {position} of row {row} of {rows} is off "
                f"by {difference.max():g}; the limit is {tolerance:g}"
            )
        worst = max(worst, float(difference.max()))
    golden = artifact.golden
    again = sampler.sample(len(golden.strings), seed=golden.seed, min_length=0)
    for i, (found, wanted) in enumerate(zip(again, golden.strings, strict=True)):
        if found != wanted:
            raise ExportError(
                f"{file.name}: sample {i} of seed {golden.seed} is {found!r}, not {wanted!r}"
            )
    return Verification(
        file=file.name,
        batch_sizes=tuple(rows for rows, _ in compared),
        positions=max(positions for _, positions in compared),
        logits=sum(rows * positions for rows, positions in compared) * vocab_size,
        largest_difference=worst,
        golden=len(golden.strings),
    )


def _differences(
    step: Step, tokens: NDArray[np.int64], expected: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far the logits of `step` are from those expected, (B, T, V); equal infinities: 0."""
    rows, positions = tokens.shape
    step.reset(rows)
    differences = np.zeros_like(expected)  # with many words the largest array of an export
    for position in range(positions):
        logits = step.run(tokens[:, position].copy(), np.full(rows, position))
        wanted = expected[:, position]
        with np.errstate(invalid="ignore"):
            apart = np.abs(logits.astype(np.float64) - wanted)
        differences[:, position] = np.where(logits == wanted, 0, apart)
    return np.nan_to_num(differences, copy=False, nan=np.inf)
