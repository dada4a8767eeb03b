"""How well a model predicts the strings of each label."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np
import torch
from makemore.artifact import Artifact
from makemore.vocabulary import LABEL_END

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.lines import Lines
from makemore_export.evaluation.likelihood import log_likelihoods
from makemore_export.models import Model


def label_losses(model: Model, artifact: Artifact, lines: Sequence[str]) -> dict[str, float | None]:
    """Mean nats per token, stops counted, of the lines of each label, which is given; None where
    infinite. Labels without a line are left out.
    """
    vocabulary = artifact.vocabulary
    with torch.inference_mode():
        at_start = model(torch.zeros(1, 1, dtype=torch.int64))[0, 0].double().log_softmax(-1)
    lines = Lines.of(lines)
    rows = {label: array("q") for label in vocabulary.labels}
    for row, line in enumerate(lines):
        rows[line.partition(LABEL_END)[0]].append(row)
    losses: dict[str, float | None] = {}
    for i, (label, own) in enumerate(rows.items()):
        if not own:
            continue
        strings = EncodedStrings(lines.take(np.array(own, np.int64)), vocabulary)
        given = float(at_start[vocabulary.first_label + i]) * len(own)
        total = float(log_likelihoods(model, strings).double().sum()) - given
        loss = -total / int(strings.lengths.sum())  # the stop in place of the label
        losses[label] = loss if math.isfinite(loss) else None
    return losses
