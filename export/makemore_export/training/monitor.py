"""A descent judged on the way: its log and its checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from makemore.errors import OptionError
from msgspec.structs import replace

from makemore_export import checkpoint
from makemore_export.checkpoint import Checkpoint, Progress, Run, RunFolder
from makemore_export.data import Strings
from makemore_export.descent import Descent, rate
from makemore_export.evaluation import mean_nll
from makemore_export.recipe import Recipe
from makemore_export.records import Evaluation, Start

_SUBSET = 2000  # strings of a part in an evaluation on the way


class Watch:
    """Judges a descent on the way, and keeps its log and checkpoints."""

    def __init__(
        self,
        run: Run,
        descent: Descent,
        parts: Mapping[str, Strings],
        folder: RunFolder,
        began: float,
    ) -> None:
        self.run = run
        self.descent = descent
        self.folder = folder
        self.began = began
        self.subsets = {part: parts[part].first(_SUBSET) for part in parts if part != "test"}
        self.judge = "dev" if "dev" in parts else "train"

    def start(self) -> tuple[Start, Progress]:
        """The first line of the log, and the first checkpoint."""
        loss = mean_nll(self.descent.model, self.subsets["train"])
        size = len(self.run.vocabulary)
        record = Start(model=self.run.model, loss=loss, vocab_size=size)
        progress = Progress(log_bytes=self.folder.append(record))
        self.save(progress)
        return record, progress

    def evaluate(self, progress: Progress, running_loss: float) -> tuple[Evaluation, Progress]:
        """What the weights so far are worth; the averaged ones, if the recipe keeps any."""
        run, step, recipe = self.run, progress.step, self.descent.recipe
        with self.descent.averaged():
            losses = {part: mean_nll(self.descent.model, s) for part, s in self.subsets.items()}
            _check(losses, step, recipe)
            best = progress.best_loss is None or losses[self.judge] < progress.best_loss
            record = Evaluation(
                model=run.model,
                step=step,
                losses={part: told(loss) for part, loss in losses.items()},
                running_loss=told(running_loss),
                learning_rate=rate(step, recipe),
                best=best,
                finished=False,
                seconds=since(self.began),
            )
            size = self.folder.append(record)
            progress = replace(
                progress, losses=record.losses, seconds=record.seconds, log_bytes=size
            )
            if best:
                progress = replace(progress, best_loss=losses[self.judge], waited=0)
                weights = self.descent.model.state_dict()
                kept = Checkpoint(run=run, progress=progress, weights=weights)
                checkpoint.save(self.folder.best, kept)
            else:
                progress = replace(progress, waited=progress.waited + 1)
        self.save(progress)
        return record, progress

    def save(self, progress: Progress) -> None:
        """Writes the last checkpoint."""
        descent = self.descent
        progress = replace(
            progress,
            seconds=since(self.began),
            nats=descent.nats.item(),
            tokens=descent.tokens,
        )
        last = Checkpoint(
            run=self.run,
            progress=progress,
            weights=descent.model.state_dict(),
            optimizer=descent.optimizer_state(),
            average=descent.average(),
        )
        checkpoint.save(self.folder.last, last)


def _check(losses: Mapping[str, float], step: int, recipe: Recipe) -> None:
    for part, loss in losses.items():
        if not math.isfinite(loss):
            raise OptionError(
                f"training diverged: the {part} loss is {loss} at step {step}; "
                f"lower --learning-rate {recipe.learning_rate:g}"
            )


def told(loss: float) -> float | None:
    """The loss as JSON can hold it: None where infinite."""
    return loss if math.isfinite(loss) else None


def since(began: float) -> float:
    """Seconds since `time.monotonic()` was `began`."""
    return round(time.monotonic() - began, 3)
