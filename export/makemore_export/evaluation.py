"""How well a model predicts strings."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from makemore_export.data import PADDING, Strings
from makemore_export.models import Model


@torch.inference_mode()
def mean_nll(model: Model, strings: Strings) -> float:
    """Mean negative log-likelihood in nats per character, stops counted, summed in double.

    Infinite where the model gives some character no probability at all. Leaves it in eval mode.
    """
    model.eval()
    total, characters = 0.0, 0
    for inputs, targets in strings.batches():
        logits = model(inputs)  # (B, T, V)
        losses = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING, reduction="none"
        )
        total += losses.cpu().double().sum().item()
        characters += int((targets != PADDING).sum())
    return total / characters
