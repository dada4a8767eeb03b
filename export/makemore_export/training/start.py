"""How every training begins: the weights of a seed, and a log to go on with."""

from __future__ import annotations

import os

import torch
from makemore.errors import OptionError

from makemore_export.models import Model
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.run import Progress, Run
from makemore_export.training import distributed
from makemore_export.training.optimizer_step import seeded

_COPIES = 4
"""Of the weights in training: they, their gradients, and the two moments of AdamW."""


def initial_model(run: Run, device: str = "cpu") -> Model:
    """The run's model with the weights that its seed gives, the same on every device."""
    with seeded(torch.device("cpu"), run.seed, 0):
        model = run.new_model()
        if run.recipe and run.recipe.init == "normal":
            scale = 1.0 if run.recipe.init_scale is None else run.recipe.init_scale
            for weight in model.parameters():
                torch.nn.init.normal_(weight, std=scale)
    return model.to(device)


def check_memory(run: Run) -> None:
    """`OptionError` for a model that takes more memory than this machine has."""
    try:
        with torch.device("meta"):  # which allocates nothing
            model = run.new_model()
    except RuntimeError as error:  # more bytes than PyTorch can count
        raise OptionError(f"model {run.model} is too large: {error}; take smaller sizes") from None
    size = _COPIES * sum(weight.nbytes for weight in model.parameters())
    size += sum(buffer.nbytes for buffer in model.buffers())
    memory = _memory()
    if memory is not None and size > memory:
        raise OptionError(
            f"model {run.model} takes {size:,} bytes of memory to train; this machine has "
            f"{memory:,}: take fewer layers, or smaller sizes"
        )


def _memory() -> int | None:
    """Bytes of memory, None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def open_log(folder: RunFolder, start: Checkpoint | None) -> None:
    """Opens the run's log at the place where the checkpoint left it: the first process alone."""
    if distributed.rank() == 0:
        folder.open((start.progress if start else Progress()).log_bytes)
