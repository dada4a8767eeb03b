"""A step of training: batch, gradient, learning rate, optimizer, averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, cast

import numpy as np
import torch
from makemore.errors import CheckpointError, OptionError
from torch import Tensor
from torch.nn import functional as F

from makemore_export.configs.recipe import Recipe
from makemore_export.data.encoded_strings import PADDING, PIECE, EncodedStrings
from makemore_export.data.length_bucketing import BUCKET, LengthBuckets
from makemore_export.models import Model
from makemore_export.runs.checkpoint import Checkpoint
from makemore_export.runs.run import Run
from makemore_export.training import distributed
from makemore_export.training.ngram_targets import NgramTargets
from makemore_export.training.optimizer import new_optimizer
from makemore_export.training.parameter_buffer import flatten

Forward: TypeAlias = Callable[[Tensor], Tensor]
"""Logits (B, T, V) from tokens (B, T)."""


def in_pieces(strings: EncodedStrings, model: Model) -> EncodedStrings:
    """What the model is trained on: whole strings, if it has a block, which they then fit into."""
    return strings.pieces(PIECE) if model.block_size is None else strings


class OptimizerStep:
    """Trains a model, one step at a time.

    The gradient of a step is that of the summed loss of its strings, over the mean number of tokens
    of a batch: a batch of short strings, with few tokens, counts less.
    """

    def __init__(
        self,
        model: Model,
        run: Run,
        strings: EncodedStrings,
        start: Checkpoint | None = None,
        *,
        bucket: int = BUCKET,
    ) -> None:
        self.model = model
        self.recipe = run.recipe or Recipe()
        self._seed = run.seed
        self._forward = _forward(model, self.recipe, strings.device)
        self._strings = in_pieces(strings, model)
        lengths = self._strings.lengths.cpu().numpy() + 1  # with the stop
        self._buckets = LengthBuckets(
            lengths, self.recipe.batch_size, run.seed, bucket, fewest=distributed.size()
        )
        if self._buckets.batch_size < distributed.size():
            raise OptionError(
                f"a batch of {self._buckets.batch_size} strings cannot be shared by "
                f"{distributed.size()} processes"
            )
        self._mean_tokens = self._buckets.mean_tokens()
        share = self.recipe.ngram_targets
        self._ngram_targets = NgramTargets(self._strings, share) if share else None
        if start:
            model.load_state_dict(start.weights)
        named = dict(model.named_parameters())
        decayed = flatten({name: weight for name, weight in named.items() if weight.dim() > 1})
        free = flatten({name: weight for name, weight in named.items() if weight.dim() <= 1})
        self._buffers = [*decayed, *free]
        self._weights = [buffer.tensor for buffer in self._buffers]
        self._gradients = [cast("Tensor", weight.grad) for weight in self._weights]
        self._average: list[Tensor] = []
        if self.recipe.average:
            self._average = [weight.detach().clone() for weight in self._weights]
        self._optimizer = new_optimizer(decayed, free, self.recipe)
        self.nats, self.tokens = torch.zeros((), device=strings.device), 0
        self.tokens_of_step = 0
        self._known_losses: tuple[float | None, ...] = ()
        self._losses: list[Tensor] = []  # of later steps, which nobody has waited for yet
        if start:
            self._restore(start)

    def step(self, step: int, learning_rate: float) -> None:
        """Step number `step`, from 1."""
        lines = self._buckets.rows(step)[distributed.rank() :: distributed.size()]
        device = self._strings.device
        rows = torch.from_numpy(lines).to(device)
        inputs, targets = self._strings.batch(rows)
        if not self.model.training:  # evaluation and sampling leave it in eval mode
            self.model.train()
        bfloat16 = self.recipe.precision == "bfloat16"
        with (
            seeded(device, self._seed, step, distributed.rank()),
            torch.autocast(device.type, torch.bfloat16, enabled=bfloat16),
        ):
            logits = self._forward(inputs).float()  # (B, T, V)
        nats = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING, reduction="sum"
        )
        aimed = nats
        if self._ngram_targets:
            aimed = self._ngram_targets.softened(nats, logits, targets, rows)
        loss = aimed * (distributed.size() / self._mean_tokens) + self.model.penalty()
        torch._foreach_zero_(self._gradients)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip:
            self._clip()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._move_average(step)
        self.nats += nats.detach()
        self.tokens_of_step = int(self._buckets.lengths[lines].sum())
        self.tokens += self.tokens_of_step
        self._losses.append(nats.detach() / self.tokens_of_step)

    def running_loss(self) -> float:
        """Mean loss in nats per token of the steps since `mean_loss`, on this process."""
        return self.nats.item() / self.tokens

    def step_losses(self) -> tuple[float | None, ...]:
        """The loss of each step since `mean_loss`, on this process; None for one that is none."""
        if self._losses:
            found = [round(loss, 4) for loss in torch.stack(self._losses).tolist()]
            self._known_losses += tuple(loss if math.isfinite(loss) else None for loss in found)
            self._losses.clear()
        return self._known_losses

    def mean_loss(self) -> float:
        """The `running_loss`, which begins anew."""
        mean = self.running_loss()
        self.nats, self.tokens = torch.zeros_like(self.nats), 0
        self._known_losses = ()
        self._losses.clear()
        return mean

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the model has its averaged weights, if the recipe keeps any."""
        if not self._average:
            yield
            return
        own = [weight.detach().clone() for weight in self._weights]
        with torch.no_grad():
            torch._foreach_copy_(self._weights, self._average)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._weights, own)

    def optimizer_state(self) -> dict[str, Tensor]:
        """The optimizer's tensors by `parameter.key`."""
        state: dict[str, Tensor] = {}
        for buffer in self._buffers:
            for key, value in self._optimizer.state[buffer.tensor].items():
                state |= {f"{name}.{key}": piece for name, piece in buffer.views(value).items()}
        return state

    def average(self) -> dict[str, Tensor]:
        """The averaged weights by parameter; none if the recipe keeps none."""
        average: dict[str, Tensor] = {}
        for buffer, tensor in zip(self._buffers, self._average, strict=False):
            average |= buffer.views(tensor)
        return average

    def _clip(self) -> None:
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(self._gradients)))
        torch._foreach_mul_(self._gradients, (self.recipe.clip / (norm + 1e-6)).clamp(max=1))

    def _move_average(self, step: int) -> None:
        if self._average:
            decay = min(self.recipe.average, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(self._average, self._weights, 1 - decay)

    def _restore(self, start: Checkpoint) -> None:
        if self._average and not start.average:
            raise CheckpointError("the last checkpoint has no averaged weights; its recipe has")
        if start.progress.step and not start.optimizer:
            raise CheckpointError("the last checkpoint has no state of the optimizer")
        for buffer in self._buffers:
            for key in {path.rpartition(".")[2] for path in start.optimizer}:
                pieces = {name: start.optimizer[f"{name}.{key}"] for name in buffer.weights}
                self._optimizer.state[buffer.tensor][key] = buffer.join(pieces)
        for buffer, average in zip(self._buffers, self._average, strict=False):
            average.copy_(buffer.join(start.average))
        self.nats += math.nan if start.progress.nats is None else start.progress.nats
        self.tokens = start.progress.tokens
        self._known_losses = start.progress.step_losses


@contextmanager
def seeded(device: torch.device, *seed: int) -> Iterator[None]:
    """Draws inside depend on `seed` alone, and leave PyTorch's generators as they were."""
    mixed = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if device.type == "cpu":
            torch.default_generator.manual_seed(int(mixed[0]))  # not all devices: that is slow
        else:
            torch.manual_seed(int(mixed[0]))
        yield


def _forward(model: Model, recipe: Recipe, device: torch.device) -> Forward:
    """The model as training calls it: over all processes, and compiled if the recipe says so."""
    if recipe.precision == "bfloat16" and device.type not in {"cpu", "cuda"}:
        raise OptionError(f"precision bfloat16 is for cpu and cuda, not for device {device.type!r}")
    forward = distributed.parallel(model)
    if not recipe.compile:
        return forward
    try:
        compiled: Forward = torch.compile(forward, dynamic=True)
        with seeded(device):
            compiled(torch.zeros(2, 2, dtype=torch.int64, device=device))
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise OptionError(f"torch.compile cannot be had here: {reason}") from None
    return compiled
