"""Models with the options that a search found to be good; `benchmarks/models.py` measures them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEEP = {"n_layer": 2, "n_hidden": 400, "weight_decay": 0.1}

PRESETS: dict[str, Mapping[str, Any]] = {
    "fast": {
        "model": "blend",
        "parts": (
            (
                "lstm",
                {
                    "n_hidden": 160,
                    "max_steps": 4000,
                    "batch_size": 64,
                    "learning_rate": 0.012,
                    "weight_decay": 0.05,
                },
            ),
            ("ngram", {"order": 5}),  # tables half as large as of order 6, for 0.005 nats
        ),
    },
    "large": {
        "model": "blend",
        "parts": (
            # Its steps see no string twice, so that nothing can be learnt by heart.
            (
                "lstm",
                {"n_hidden": 160, "dropout": 0.0, "weight_decay": 0.01, "max_steps": 8000},
            ),
            ("ngram", {"order": 5}),
        ),
    },
    "best": {
        "model": "blend",
        "parts": (
            # A network that may learn strings by heart, and two that are kept from it.
            ("lstm", {"n_hidden": 400, "dropout": 0.3, "weight_decay": 0.1}),
            ("lstm", {**_DEEP, "dropout": 0.35, "ngram_targets": 0.25, "max_steps": 20_000}),
            (
                "lstm",
                {
                    **_DEEP,
                    "dropout": 0.4,
                    "ngram_targets": 0.35,
                    "batch_size": 64,
                    "learning_rate": 0.011,
                },
            ),
        ),
    },
}
"""The options of `mm-train` that each preset stands for."""

REFITTED = ("best",)
"""The presets that train again on train and dev, where there is dev: they are to predict best."""

LARGE = 500_000
"""Different lines of a text, from which on "large" is better than "fast"."""


def default_preset(lines: int) -> str:
    """The preset for a text of so many different lines."""
    return "large" if lines >= LARGE else "fast"
