"""Tokens a second in training: our step against a plain loop over a DataLoader.

    python benchmarks/training_throughput.py names.txt -o figures.json

The plain loop is that of the lectures: a data set whose items are tensors of the block's length,
padded, a DataLoader that shuffles them, PyTorch's dropout, cross-entropy that ignores padding,
AdamW. Same model, same batch, same cores, in turn within one process, medians. Only real tokens
count, stops included. Our step clips the gradient and averages the weights besides. That both
minimise the same loss is checked first.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import torch
from figures import environment, show
from makemore_export.data.encoded_strings import PADDING, EncodedStrings
from makemore_export.data.text import read_text
from makemore_export.models.dropout import Dropout
from makemore_export.runs.run import Run
from makemore_export.training.optimizer import rate
from makemore_export.training.optimizer_step import OptimizerStep
from makemore_export.training.plan import plan
from makemore_export.training.start import initial_model
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

ROUNDS = 25
SECONDS = 0.4
"""A round of each, about."""

MODELS = {"transformer": {}, "lstm": {"n_hidden": 160}}
BATCHES = (32, 64, 128)
THREADS = (1, 2)


@click.command()
@click.argument("text", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write the figures as JSON too.")
def main(text: Path, out: Path | None) -> None:
    """Measures training on TEXT, one thing per line."""
    rows: list[dict[str, Any]] = []
    for name, options in MODELS.items():
        for batch_size in BATCHES:
            run, lines = planned(text, name, {**options, "batch_size": batch_size})
            check_same(run, lines)
            for threads in THREADS:
                torch.set_num_threads(threads)
                plain, ours = in_turn(PlainLoop(run, lines).step, our_step(run, lines))
                ratios = [b / a for a, b in zip(plain, ours, strict=True)]
                rows.append(
                    {
                        "model": name,
                        "batch": batch_size,
                        "threads": threads,
                        "plain tokens/s": statistics.median(plain),
                        "makemore tokens/s": statistics.median(ours),
                        "ratio": statistics.median(ratios),
                        "ratio min": min(ratios),
                        "ratio max": max(ratios),
                    }
                )
    show(rows)
    if out is not None:
        out.write_text(json.dumps({"environment": environment(), "rows": rows}, indent=2) + "\n")


def planned(text: Path, model: str, options: dict[str, object]) -> tuple[Run, list[str]]:
    """A run with the model's own recipe, and the strings of train."""
    run, splits = plan(
        read_text(text),
        model=model,
        percents=(80.0, 10.0, 10.0),
        keep_duplicates=False,
        seed=1,
        options=options,
    )
    return run, splits["train"]


class PaddedStrings(Dataset[tuple[Tensor, Tensor]]):
    """Inputs and targets of one string, both as long as the longest one and its stop."""

    def __init__(self, run: Run, lines: list[str]) -> None:
        self.lines = lines
        self.vocabulary = run.vocabulary
        self.size = max(map(len, lines)) + 1

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        ids = torch.tensor(self.vocabulary.encode(self.lines[row]))
        x = torch.zeros(self.size, dtype=torch.int64)
        y = torch.full((self.size,), PADDING)
        x[1 : len(ids) + 1] = ids
        y[: len(ids)] = ids
        y[len(ids)] = 0
        return x, y


class PlainLoop:
    """The lectures' training."""

    def __init__(self, run: Run, lines: list[str]) -> None:
        assert run.recipe
        self.model = with_plain_dropout(initial_model(run)).train()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=5e-4, weight_decay=0.01, betas=(0.9, 0.99)
        )
        loader = DataLoader(
            PaddedStrings(run, lines), batch_size=run.recipe.batch_size, shuffle=True
        )
        self.batches = endless(loader)

    def step(self) -> int:
        """Trains on a batch; returns its real tokens."""
        x, y = next(self.batches)
        self.optimizer.zero_grad(set_to_none=True)
        padded_loss(self.model, x, y).backward()
        self.optimizer.step()
        return int((y != PADDING).sum())


def with_plain_dropout(model: nn.Module) -> nn.Module:
    """The model with PyTorch's dropout in place of ours."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, Dropout):
                setattr(module, name, nn.Dropout(child.p))
    return model


def endless(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader


def padded_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    logits = model(x)  # (B, T, V)
    return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1), ignore_index=PADDING)


def our_step(run: Run, lines: list[str]) -> Callable[[], int]:
    """Trains on a batch; returns its tokens."""
    optimizer = OptimizerStep(initial_model(run), run, EncodedStrings(lines, run.vocabulary))
    done = 0

    def step() -> int:
        nonlocal done
        done += 1
        before = optimizer.tokens
        optimizer.step(done, rate(done, optimizer.recipe))
        return optimizer.tokens - before

    return step


def check_same(run: Run, lines: list[str]) -> None:
    """The mean loss of a batch is the same, padded to the block or to its longest string."""
    model = initial_model(run).eval()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    padded = PaddedStrings(run, lines)
    x, y = (torch.stack(column) for column in zip(*(padded[row] for row in range(64)), strict=True))
    inputs, targets = EncodedStrings(lines, run.vocabulary).batch(torch.arange(64))
    torch.testing.assert_close(
        padded_loss(model, inputs, targets.contiguous()), padded_loss(model, x, y)
    )


def in_turn(*contenders: Callable[[], int]) -> list[list[float]]:
    """Tokens a second of each contender in each round, after one round of warm-up."""
    rates: list[list[float]] = [[] for _ in contenders]
    for round_number in range(ROUNDS + 1):
        for step, found in zip(contenders, rates, strict=True):
            tokens, began = 0, time.perf_counter()
            while (seconds := time.perf_counter() - began) < SECONDS:
                tokens += step()
            if round_number > 0:
                found.append(tokens / seconds)
    return rates


if __name__ == "__main__":
    main()
