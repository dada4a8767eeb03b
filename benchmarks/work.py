"""What a step of a model must do at least: the arithmetic of its matrices, the weights it reads.

What a first layer makes of a token, at its position or place, counts as a row of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from makemore.artifact import Artifact

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


class Work(NamedTuple):
    """Of one row."""

    matrices: int
    """Weights that are multiplied with something."""
    vectors: int
    """Other weights that are read: norms, biases, rows of tables."""
    attended: int
    """Numbers of the keys of one position, in all layers."""

    @property
    def bytes(self) -> int:
        """Of all weights that a step reads."""
        return 4 * (self.matrices + self.vectors)

    def flops(self, position: int) -> int:
        """Of one row: two a weight, and attention to the positions so far."""
        return 2 * self.matrices + 4 * self.attended * (position + 1)


def work_of(artifact: Artifact) -> Work:
    """`ValueError` for a model whose step is not known here."""
    vocab_size = len(artifact.tokens) + 1
    if artifact.model.type != "blend":
        return _work(artifact.model.type, artifact.model.config, vocab_size)
    parts = [
        _work(part["model"], part["config"], vocab_size) for part in artifact.model.config["parts"]
    ]
    return Work(*map(sum, zip(*parts, strict=True)))


def _work(model: str, config: Mapping[str, Any], vocab_size: int) -> Work:
    width = config.get("n_embd", 0)
    if model == "ngram":
        return Work(0, vocab_size, 0)  # a row of a table
    if model == "transformer":
        layers = config["n_layer"]
        matrices = (layers * 12 - 3) * width**2 + width * vocab_size
        return Work(matrices, layers * 13 * width + 6 * width, layers * width)
    hidden = config.get("n_hidden", 0)
    head = hidden * vocab_size
    if model == "mlp" and not config["direct"]:
        return Work(head, (config["context"] + 1) * hidden + vocab_size, 0)
    if model in GATES:
        units, more = GATES[model] * hidden, config["n_layer"] - 1
        matrices = units * hidden + more * units * 2 * hidden + head
        return Work(matrices, (more + 1) * units + vocab_size, 0)
    raise ValueError(f"the floor of a {model} of these options is not known")
