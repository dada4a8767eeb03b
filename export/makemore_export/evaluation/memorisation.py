"""How much of its probability a model gives to the strings that it was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping

from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.evaluation.likelihood import evaluated, probability_of_any
from makemore_export.evaluation.novelty import Memorised
from makemore_export.models import Model


def memorised(
    model: Model, strings: Mapping[str, EncodedStrings], losses: Mapping[str, float | None]
) -> Memorised | None:
    """strings: of splits without duplicates, and `losses` the model's, by split; None where there
    are too many of train to evaluate all, or where the model gives all its probability to them.
    """
    train = strings["train"]
    if len(evaluated(train)) < len(train):
        return None
    of_train = probability_of_any(model, train)
    given = {
        name: loss + math.log1p(-of_train) * len(strings[name]) / strings[name].token_count
        for name, loss in losses.items()
        if name != "train" and loss is not None and of_train < 1
    }
    return Memorised(of_train=of_train, losses=given) if given else None
