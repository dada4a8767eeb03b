"""How every training begins: the weights of a seed, and a log to go on with."""

from __future__ import annotations

import torch

from makemore_export.models import Model
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.optimizer_step import seeded


def initial_model(run: Run, device: str = "cpu") -> Model:
    """The run's model with the weights that its seed gives, the same on every device."""
    with seeded(torch.device("cpu"), run.seed, 0):
        model = run.new_model()
        if run.recipe and run.recipe.init == "normal":
            scale = 1.0 if run.recipe.init_scale is None else run.recipe.init_scale
            for weight in model.parameters():
                torch.nn.init.normal_(weight, std=scale)
    return model.to(device)


def open_log(folder: RunFolder, start: Checkpoint | None) -> None:
    """Opens the run's log at the place where the checkpoint left it: the first process alone."""
    if distributed.rank() == 0:
        folder.open((start.progress if start else Progress()).log_bytes)
