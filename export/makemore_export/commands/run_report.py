"""What `mm-inspect` shows of a run: how it was trained, how far it came, how well it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from makemore.artifact import Artifact
from makemore.errors import CheckpointError

from makemore_export.evaluation.likelihood import bits, perplexity
from makemore_export.packing.eager import describe
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import RunFolder


def describe_run(path: Path) -> tuple[Artifact, dict[str, Any]]:
    """The metadata of the artifact that a run folder or a checkpoint would become, and the rest.

    A folder stands for its best checkpoint once the run is finished, else for the last.
    `CheckpointError` if there is none.
    """
    source = RunFolder(path).latest() if path.is_dir() else checkpoint.load(path)
    if source is None:
        raise CheckpointError(f"{path}: holds no run")
    run, progress = source.run, source.progress
    losses = {name: loss for name, loss in progress.losses.items() if loss is not None}
    return describe(run, progress, run.new_model()), {
        f"bits per {run.level}": {name: bits(loss) for name, loss in losses.items()},
        "perplexity": {name: perplexity(loss) for name, loss in losses.items()},
        "recipe": msgspec.to_builtins(run.recipe),
        "finished": progress.finished,
        "novelty": msgspec.to_builtins(progress.novelty),
    }
