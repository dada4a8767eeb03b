"""From a run to a module for one's own code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from makemore.vocabulary import Vocabulary

from makemore_export.models import Model
from makemore_export.runs.checkpoint import read_source


class LoadedModel(NamedTuple):
    """A trained model, on the CPU and in eval mode, and what encodes its strings.

    `model(tokens)`: logits (B, T, V) of the token after each of `tokens`, int64 (B, T), which begin
    with the start token, 0. `model.step(token, position, *state)`: the same one position at a time.
    """

    model: Model
    vocabulary: Vocabulary


def load_model(run: str | os.PathLike[str]) -> LoadedModel:
    """The best model of a run that `mm-train` made: its folder, or a checkpoint of it.

    Another copy at each call. `CheckpointError` where there is none.
    """
    source = read_source(Path(run).expanduser())
    model = source.run.new_model()
    model.load_state_dict(source.weights)
    return LoadedModel(model.eval(), source.run.vocabulary)
