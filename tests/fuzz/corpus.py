"""The artifacts that mutants are made from: those committed for the tests, and small ones more."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cases

ARTIFACTS = Path(__file__).parents[1] / "artifacts"


@cache
def corpus() -> tuple[tuple[str, bytes], ...]:
    """Name and bytes of each, in an order that stays."""
    files = sorted(ARTIFACTS.glob("**/model.onnx"))
    committed = [(str(file.parent.relative_to(ARTIFACTS)), file.read_bytes()) for file in files]
    return (*committed, ("ngram", cases.ngram().SerializeToString()))
