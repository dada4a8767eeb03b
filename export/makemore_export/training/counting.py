"""How a model that counts is trained."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import cast

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models import CountingModel, Model
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Record, Step
from makemore_export.runs.run import Progress, Run
from makemore_export.training.monitor import elapsed
from makemore_export.training.start import open_log


def count(
    model: Model,
    _: Run,
    splits: Mapping[str, EncodedStrings],
    folder: RunFolder,
    start: Checkpoint | None,
    __: object,
) -> Generator[Step | Record, None, Progress]:
    """Counts the strings of train; what is left open is chosen on dev."""
    began = time.monotonic()
    open_log(folder, start)
    fitted = cast("CountingModel", model).fit(splits["train"], splits.get("dev"))
    yield from ()
    return Progress(fitted=fitted, seconds=elapsed(began))
