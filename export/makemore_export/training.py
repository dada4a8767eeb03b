"""Training: a generator of records, which the commands print."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import torch
from makemore.errors import OptionError
from msgspec.structs import replace
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW

from makemore_export import checkpoint
from makemore_export.checkpoint import Checkpoint, Progress, Run, RunFolder
from makemore_export.data import PADDING, Strings
from makemore_export.evaluation import mean_nll
from makemore_export.models import CountingModel, Model
from makemore_export.recipe import Recipe

EVALUATE_EVERY = 250
"""Steps from one evaluation, and last checkpoint, to the next."""

_SUBSET = 2000  # strings of a part in an evaluation on the way
_WARM_UP = 200
_WEIGHT_DECAY = 0.1
_BETAS = (0.9, 0.99)


class Step(msgspec.Struct, frozen=True):
    """One step of the optimizer was taken."""

    step: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log: mean losses in nats per character by part, None where infinite.

    On the way over up to 2,000 strings of train and dev; the last record of a run, `finished`, has
    the best weights' losses over all strings of all parts.
    """

    step: int
    losses: dict[str, float | None]
    best: bool
    finished: bool
    seconds: float


def initial_model(run: Run, device: str = "cpu") -> Model:
    """The run's model with the weights that its seed gives, the same on every device."""
    with _seeded(run.seed, 0, torch.device("cpu")):
        model = run.new_model()
    return model.to(device)


def train(
    model: Model,
    run: Run,
    parts: Mapping[str, Strings],
    folder: RunFolder,
    start: Checkpoint | None = None,
) -> Generator[Step | Evaluation, None, None]:
    """Trains `model` in place; it ends with the weights of the lowest dev loss (train, if no dev).

    parts: the strings of train and perhaps of dev and test, on the device of the model.
    start: the run's `RunFolder.latest()`, to go on from it; what follows is bit for bit what an
      uninterrupted run would have done, where the arithmetic of the machine repeats itself.

    Every random draw of a step is a function of seed and step. Closing the generator saves the last
    checkpoint first. `OptionError` if the loss stops being a number.
    """
    progress = start.progress if start else Progress()
    if start and progress.finished:
        model.load_state_dict(start.weights)
        return
    began = time.monotonic()
    folder.open(progress.log_bytes)
    if isinstance(model, CountingModel):
        fitted = model.fit(parts["train"], parts.get("dev"))
        progress = replace(progress, fitted=fitted)
    else:
        progress = yield from _descend(model, run, parts, folder, start)
        model.load_state_dict(checkpoint.load(folder.best).weights)
    losses = {part: mean_nll(model, strings) for part, strings in parts.items()}
    record = _evaluation(progress.step, losses, began, best=True, finished=True)
    size = folder.append(record)
    progress = replace(progress, losses=record.losses, log_bytes=size, finished=True)
    checkpoint.save(folder.best, Checkpoint(run=run, progress=progress, weights=model.state_dict()))
    yield record


def _descend(
    model: Model,
    run: Run,
    parts: Mapping[str, Strings],
    folder: RunFolder,
    start: Checkpoint | None,
) -> Generator[Step | Evaluation, None, Progress]:
    descent = _Descent(model, run, parts["train"], start)
    progress = start.progress if start else Progress()
    if not start:
        descent.save(folder, progress)
    subsets = {part: strings.first(_SUBSET) for part, strings in parts.items() if part != "test"}
    judge = "dev" if "dev" in parts else "train"
    began = time.monotonic()
    try:
        for step in range(progress.step + 1, descent.recipe.max_steps + 1):
            descent.step(step)
            progress = replace(progress, step=step)
            if step % EVALUATE_EVERY and step != descent.recipe.max_steps:
                yield Step(step)
                continue
            losses = {part: mean_nll(model, strings) for part, strings in subsets.items()}
            _check(losses, step, descent.recipe)
            best = progress.best_loss is None or losses[judge] < progress.best_loss
            record = _evaluation(step, losses, began, best=best)
            size = folder.append(record)
            progress = replace(progress, losses=record.losses, log_bytes=size)
            if best:
                progress = replace(progress, best_loss=losses[judge])
                weights = Checkpoint(run=run, progress=progress, weights=model.state_dict())
                checkpoint.save(folder.best, weights)
            descent.save(folder, progress)
            yield record
    except GeneratorExit:
        descent.save(folder, progress)
        raise
    return progress


class _Descent:
    """A model under AdamW (Loshchilov & Hutter, 2019, "Decoupled Weight Decay Regularization").

    The rate rises linearly, then falls to 0 along a cosine (Loshchilov & Hutter, 2017, "SGDR",
    section 3, without restarts).
    """

    def __init__(self, model: Model, run: Run, strings: Strings, start: Checkpoint | None) -> None:
        self.model = model
        self.run = run
        self.strings = strings
        self.recipe = run.recipe or Recipe()
        self.named = dict(model.named_parameters())
        decayed = [p for p in self.named.values() if p.dim() > 1]
        free = [p for p in self.named.values() if p.dim() <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
        self.optimizer = AdamW(groups, betas=_BETAS, weight_decay=_WEIGHT_DECAY, fused=True)
        if start:
            model.load_state_dict(start.weights)
            self._restore(start.optimizer)

    def step(self, step: int) -> None:
        """Step number `step`, from 1."""
        tokens = self.strings.tokens
        self.model.train()  # evaluation and sampling leave it in eval mode
        with _seeded(self.run.seed, step, tokens.device):
            size = (self.recipe.batch_size,)
            rows = torch.randint(len(self.strings), size, device=tokens.device)
            inputs, targets = self.strings.batch(rows)
            logits = self.model(inputs)  # (B, T, V)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for group in self.optimizer.param_groups:
            group["lr"] = _rate(step, self.recipe)
        self.optimizer.step()

    def save(self, folder: RunFolder, progress: Progress) -> None:
        optimizer = {
            f"{name}.{key}": value
            for name, parameter in self.named.items()
            for key, value in self.optimizer.state[parameter].items()
        }
        weights = self.model.state_dict()
        state = Checkpoint(run=self.run, progress=progress, weights=weights, optimizer=optimizer)
        checkpoint.save(folder.last, state)

    def _restore(self, tensors: Mapping[str, Tensor]) -> None:
        for path, tensor in tensors.items():
            name, _, key = path.rpartition(".")
            parameter = self.named[name]
            self.optimizer.state[parameter][key] = tensor.to(parameter.device)


def _rate(step: int, recipe: Recipe) -> float:
    warm_up = min(_WARM_UP, recipe.max_steps // 10) + 1
    if step < warm_up:
        return recipe.learning_rate * step / warm_up
    done = (step - warm_up) / (recipe.max_steps + 1 - warm_up)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


@contextmanager
def _seeded(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Draws inside depend on seed and step alone, and leave PyTorch's generators as they were."""
    mixed = np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(mixed[0]))
        yield


def _check(losses: Mapping[str, float], step: int, recipe: Recipe) -> None:
    for part, loss in losses.items():
        if not math.isfinite(loss):
            raise OptionError(
                f"training diverged: the {part} loss is {loss} at step {step}; "
                f"lower --learning-rate {recipe.learning_rate:g}"
            )


def _evaluation(
    step: int, losses: Mapping[str, float], began: float, *, best: bool, finished: bool = False
) -> Evaluation:
    return Evaluation(
        step=step,
        losses={part: loss if math.isfinite(loss) else None for part, loss in losses.items()},
        best=best,
        finished=finished,
        seconds=round(time.monotonic() - began, 3),
    )
