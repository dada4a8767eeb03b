"""Training towards what an n-gram expects, beside the tokens themselves."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from makemore.errors import OptionError
from torch import Tensor

from makemore_export.configs.model_configs import NgramConfig
from makemore_export.data.encoded_strings import PADDING, EncodedStrings
from makemore_export.data.scratch import Scratch
from makemore_export.models.ngram import Ngram

FOLDS = 10
"""Into how many parts the strings are divided."""

_MOST_NUMBERS = 1 << 24  # of a batch


class NgramTargets:
    """What a step aims at: of each target a `share` is the distribution of a Kneser-Ney 6-gram.

    Label smoothing (Szegedy et al., 2016, "Rethinking the Inception architecture for computer
    vision", section 7) towards what is likely in the context, where that is towards all labels
    alike. The n-gram of a string is fitted to the other nine tenths of the strings (cross-fitting),
    so that it cannot know the string by heart, and a network learns less of it by heart, too.

    Probabilities are kept in float16, 2 V bytes for a token; many of them are in a mapped file.
    `OptionError` for a single string.
    """

    def __init__(self, strings: EncodedStrings, share: float) -> None:
        self._share = share
        if len(strings) < 2:
            raise OptionError("ngram_targets needs 2 lines to train on, and there is 1")
        kept = Scratch("float16")
        for some in _probabilities(strings):
            kept.add(some.half().cpu().numpy().ravel())
        size = strings.vocab_size
        self._probabilities = torch.from_numpy(kept.array()).view(-1, size)  # (tokens, V)
        positions = strings.lengths.cpu() + 1  # (N,)
        self._starts = positions.cumsum(0) - positions

    def softened(self, nats: Tensor, logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        """The summed cross-entropy of `logits` (B, T, V) under what strings `rows` (B,) aim at.

        nats: their summed loss. targets: (B, T), with padding.
        """
        is_token = targets != PADDING  # (B, T)
        time = torch.arange(targets.shape[1])
        places = (self._starts[rows.cpu()][:, None] + time)[is_token.cpu()]
        expected = self._probabilities[places].to(logits.device, logits.dtype)  # (tokens, V)
        soft = -(expected * logits[is_token].log_softmax(-1)).sum()
        return (1 - self._share) * nats + self._share * soft


@torch.no_grad()
def _probabilities(strings: EncodedStrings) -> Iterator[Tensor]:
    """Of every token after each position: (tokens, V) of some strings after the other."""
    count = len(strings)
    rows = torch.arange(count, device=strings.device)
    fold = rows * FOLDS // count  # splits are shuffled, so that any rows are as good
    for part in sorted({*fold.tolist()}):
        ngram = Ngram(NgramConfig(), strings.vocab_size).to(strings.device)
        ngram.fit(strings.rows(fold != part), None)
        of_part = rows[fold == part]
        longest = int(strings.lengths[of_part].max()) + 1
        size = max(1, _MOST_NUMBERS // (longest * strings.vocab_size))
        for begin in range(0, len(of_part), size):
            inputs, targets = strings.batch(of_part[begin : begin + size])
            yield ngram(inputs)[targets != PADDING].exp()
