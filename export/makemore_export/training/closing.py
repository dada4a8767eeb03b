"""How long a training on a large list takes: its steps, and what is counted and evaluated then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from statistics import median

import torch
from torch.nn import functional as F

from makemore_export.data.encoded_strings import PADDING, EncodedStrings
from makemore_export.data.length_bucketing import TOKENS_PER_STRING
from makemore_export.evaluation.likelihood import evaluated, mean_nll
from makemore_export.models import Blend, CountingModel, Model
from makemore_export.runs.run import Run
from makemore_export.training.optimizer_step import in_pieces

_SAMPLE, _SAMPLE_TOKENS = 2000, 1 << 16  # most strings, and tokens, whose evaluation is timed
_COUNTED = 200_000  # tokens whose counting is
_REPEATS = 5  # on a busy machine one time says little
_FEW_TOKENS = 1_000_000  # evaluated in seconds

Clock = Callable[[], float]


def closing_seconds(
    model: Model, splits: Mapping[str, EncodedStrings], clock: Clock = time.perf_counter
) -> float:
    """About how long it takes to count and to evaluate, from the time that some strings take now.

    A blend evaluates twice: for each of its components, and for all of them together, with dev once
    more to weigh them. 0 for few tokens.
    """
    tokens = {name: evaluated(strings).token_count for name, strings in splits.items()}
    total = sum(tokens.values())
    if total <= _FEW_TOKENS:
        return 0.0
    if model.components():
        total = 2 * total + tokens.get("dev", 0)
    train = splits["train"]
    some = in_pieces(train, model).first(_SAMPLE).first_tokens(_SAMPLE_TOKENS)
    seconds = _seconds(partial(mean_nll, model, some), clock) * total / some.token_count
    counted = train.first_tokens(_COUNTED)
    for each in model.components():
        if isinstance(each, CountingModel):
            began = clock()
            deepcopy(each).fit(counted, None)
            seconds += (clock() - began) * train.token_count / counted.token_count
    return seconds


def steps_seconds(
    run: Run, model: Model, train: EncodedStrings, clock: Clock = time.perf_counter
) -> float:
    """About how long all steps take, from the time of a batch of strings, forward and backward."""
    models = model.components() or [model]
    recipes = [run.recipe]
    if isinstance(model, Blend):
        recipes = [part.recipe for part in model.config.parts]
    seconds = 0.0
    for each, recipe in zip(models, recipes, strict=True):
        if recipe is not None:
            most = recipe.batch_size
            some = in_pieces(train, each).first(most).first_tokens(most * TOKENS_PER_STRING)
            batch = some.batch(torch.arange(len(some), device=train.device))
            seconds += recipe.last_step * _seconds(partial(_backward, each, *batch), clock)
    return seconds


def _backward(model: Model, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    model.train()
    logits = model(inputs).float().flatten(0, 1)
    loss = F.cross_entropy(logits, targets.flatten(), ignore_index=PADDING)
    loss.backward()  # type: ignore[no-untyped-call]
    model.zero_grad()


def _seconds(work: Callable[[], object], clock: Clock) -> float:
    work()  # with what is done at the first call alone
    seconds = []
    for _ in range(_REPEATS):
        began = clock()
        work()
        seconds.append(clock() - began)
    return median(seconds)
