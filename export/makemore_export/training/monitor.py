"""Evaluations during training, its log and its checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from makemore.errors import TrainingError
from msgspec.structs import replace

from makemore_export.configs.recipe import Recipe
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import finite_or_none, mean_nll
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder
from makemore_export.runs.records import Evaluation, Start
from makemore_export.runs.run import Progress, Run
from makemore_export.training.optimizer import rate
from makemore_export.training.optimizer_step import OptimizerStep, in_pieces

_SUBSET = 2000  # strings of a split in an evaluation on the way
_SUBSET_TOKENS = 1 << 18  # most tokens of those, but for one string


class Monitor:
    """Evaluates the model during training, and writes its log and checkpoints."""

    def __init__(
        self,
        run: Run,
        optimizer: OptimizerStep,
        splits: Mapping[str, EncodedStrings],
        folder: RunFolder,
        began: float,
    ) -> None:
        self.run = run
        self.optimizer = optimizer
        self.folder = folder
        self.began = began
        self.subsets = {
            name: in_pieces(strings, optimizer.model).first(_SUBSET).first_tokens(_SUBSET_TOKENS)
            for name, strings in splits.items()
            if name != "test"
        }
        self.judge = "dev" if "dev" in splits else "train"

    def start(self) -> tuple[Start, Progress]:
        """The first line of the log, and the first checkpoint."""
        loss = mean_nll(self.optimizer.model, self.subsets["train"])
        size = len(self.run.vocabulary)
        record = Start(model=self.run.model, loss=loss, vocab_size=size)
        progress = Progress(log_bytes=self.folder.append(record))
        self.save(progress)
        return record, progress

    def evaluate(
        self, progress: Progress, running_loss: float, step_losses: tuple[float | None, ...]
    ) -> tuple[Evaluation, Progress]:
        """The losses with the weights so far: the averaged ones, if the recipe keeps any."""
        run, step, recipe = self.run, progress.step, self.optimizer.recipe
        with self.optimizer.averaged():
            losses = {name: mean_nll(self.optimizer.model, s) for name, s in self.subsets.items()}
            _check(losses, step, recipe)
            best = (
                recipe.stop_at is not None  # then the latest weights are those to keep
                or progress.best_loss is None
                or losses[self.judge] < progress.best_loss
            )
            record = Evaluation(
                model=run.model,
                step=step,
                losses={name: finite_or_none(loss) for name, loss in losses.items()},
                running_loss=finite_or_none(running_loss),
                step_losses=step_losses,
                learning_rate=rate(step, recipe),
                best=best,
                finished=False,
                seconds=elapsed(self.began),
            )
            size = self.folder.append(record)
            progress = replace(
                progress, losses=record.losses, seconds=record.seconds, log_bytes=size
            )
            if best:
                progress = replace(progress, best_loss=losses[self.judge], best_step=step, waited=0)
                weights = self.optimizer.model.state_dict()
                kept = Checkpoint(run=run, progress=progress, weights=weights)
                checkpoint.save(self.folder.best, kept)
            else:
                progress = replace(progress, waited=progress.waited + 1)
        self.save(progress)
        return record, progress

    def save(self, progress: Progress) -> None:
        """Writes the last checkpoint."""
        optimizer = self.optimizer
        progress = replace(
            progress,
            seconds=elapsed(self.began),
            nats=finite_or_none(optimizer.nats.item()),
            tokens=optimizer.tokens,
            step_losses=optimizer.step_losses(),
        )
        last = Checkpoint(
            run=self.run,
            progress=progress,
            weights=optimizer.model.state_dict(),
            optimizer=optimizer.optimizer_state(),
            average=optimizer.average(),
        )
        checkpoint.save(self.folder.last, last)


def _check(losses: Mapping[str, float], step: int, recipe: Recipe) -> None:
    for name, loss in losses.items():
        if not math.isfinite(loss):
            raise TrainingError(
                f"training diverged: the {name} loss is {loss} at step {step}; "
                f"lower --learning-rate {recipe.learning_rate:g}"
            )


def elapsed(began: float) -> float:
    """Seconds since `time.monotonic()` was `began`."""
    return round(time.monotonic() - began, 3)
