"""What `makemore.load` asks of a folder without an artifact: whether it is a run."""

from __future__ import annotations

from pathlib import Path

from makemore import Sampler

from makemore_export.runs.header import BEST


def open_run(folder: Path) -> Sampler | None:
    """A sampler over the best model of a run; None for another folder, without PyTorch."""
    if not (folder / BEST).is_file():
        return None
    from makemore_export.packing.eager import run_sampler

    return run_sampler(folder)
