"""How well a model predicts the strings of each label."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from makemore.artifact import Artifact
from makemore.vocabulary import LABEL_END

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import log_likelihoods
from makemore_export.models import Model


def label_losses(model: Model, artifact: Artifact, lines: Sequence[str]) -> dict[str, float | None]:
    """Mean nats per token, stops counted, of the lines of each label, which is given; None where
    infinite. Labels without a line are left out.
    """
    vocabulary = artifact.vocabulary
    with torch.inference_mode():
        at_start = model(torch.zeros(1, 1, dtype=torch.int64))[0, 0].double().log_softmax(-1)
    losses: dict[str, float | None] = {}
    for i, label in enumerate(vocabulary.labels):
        own = [line for line in lines if line.partition(LABEL_END)[0] == label]
        if not own:
            continue
        strings = EncodedStrings(own, vocabulary)
        given = float(at_start[vocabulary.first_label + i]) * len(own)
        total = float(log_likelihoods(model, strings).double().sum()) - given
        loss = -total / int(strings.lengths.sum())  # the stop in place of the label
        losses[label] = loss if math.isfinite(loss) else None
    return losses
