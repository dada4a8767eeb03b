"""How well a model predicts strings."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from makemore_export.data.encoded_strings import PADDING, EncodedStrings
from makemore_export.models import Model

MOST_TOKENS = 1 << 20
"""Of one split, evaluated at the end of a training: a mean is then within 0.003 nats, mostly."""


LONGEST = 1 << 16
"""Tokens of a string that are evaluated in one go: what a model computes of them is in memory."""


def evaluated(strings: EncodedStrings) -> EncodedStrings:
    """The strings of a split that are evaluated: all, or the first of many, which are any ones."""
    return strings.first_tokens(MOST_TOKENS)


def mean_nll(model: Model, strings: EncodedStrings) -> float:
    """Mean negative log-likelihood in nats per token, stops counted, summed in double.

    A string of more than `LONGEST` tokens is in pieces of so many, each without what came before.
    Infinite where the model gives some token no probability at all. Leaves it in eval mode.
    """
    total = math.fsum(
        found.sum().item() for found, _ in _log_likelihoods(model, _in_pieces(strings))
    )
    return -total / strings.token_count


def finite_or_none(loss: float) -> float | None:
    """The loss as JSON can hold it: None where infinite."""
    return loss if math.isfinite(loss) else None


def log_likelihoods(model: Model, strings: EncodedStrings) -> Tensor:
    """What the model gave to each token and stop: natural logs, float64 (N,) on the CPU.

    In pieces as in `mean_nll`; the order depends on the strings alone. Leaves the model in eval
    mode.
    """
    return torch.cat(
        [found[is_token] for found, is_token in _log_likelihoods(model, _in_pieces(strings))]
    )


def probability_of_any(model: Model, strings: EncodedStrings) -> float:
    """How probable it is that the model makes one of the strings, which are distinct.

    Those of more than `LONGEST` tokens are left out: none of so many is probable.
    """
    short = strings.rows(strings.lengths < LONGEST)
    batches = _log_likelihoods(model, short) if len(short) else ()
    return math.fsum(found.sum(1).exp().sum().item() for found, _ in batches)


def _in_pieces(strings: EncodedStrings) -> EncodedStrings:
    return strings.pieces(LONGEST) if int(strings.lengths.max()) >= LONGEST else strings


@torch.inference_mode()
def _log_likelihoods(model: Model, strings: EncodedStrings) -> Iterator[tuple[Tensor, Tensor]]:
    """What the model gave to each token of a batch, float64 (B, T), 0 for padding; what is none."""
    model.eval()
    for inputs, targets in strings.batches():
        logits = model(inputs).float()  # (B, T, V)
        losses = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING, reduction="none"
        )
        yield -losses.view_as(targets).cpu().double(), (targets != PADDING).cpu()


def perplexity(nll: float) -> float:
    """From nats: among how many equally likely tokens a choice would be as uncertain."""
    return math.exp(nll) if nll < 700 else math.inf  # doubles end near exp(709)


def bits(nll: float) -> float:
    """A negative log-likelihood in nats, in bits."""
    return nll / math.log(2)
