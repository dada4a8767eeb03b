"""How likely strings are under a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from makemore._core import CancellationToken
from makemore.cancellation import until_cancelled
from makemore.engine import Engine
from makemore.errors import OptionError, OptionTypeError
from makemore.limits import Limit, integer, shown
from makemore.once import Once
from makemore.options import BATCH_SIZE, DrawOptions
from makemore.vocabulary import STOP

RANK_SAMPLES = 100_000
"""Strings that `rank` draws, once."""

_BATCH_SIZE = integer(1)
_STRING = Limit(str, "a string")
_ROUNDING = 1e-6
"""Nats by which log-probabilities may differ that are the same."""

_CHUNK = 4096
"""Strings scored at a time where numbers of each token are kept."""


class Ranks(NamedTuple):
    """Of each string how many are likelier, (n,), and the standard error of that, (n,)."""

    rank: NDArray[np.float64]
    error: NDArray[np.float64]


class Scorer(Engine):
    """Scores strings."""

    def _begin(self) -> None:
        super()._begin()
        self._ranking = Once[tuple[NDArray[Any], ...]]()

    def score(
        self,
        strings: Iterable[str],
        *,
        label: str | None = None,
        on_unknown: Literal["error", "-inf"] = "error",
        batch_size: int | None = None,
        cancellation: CancellationToken | None = None,
    ) -> NDArray[np.float64]:
        """Natural-log probability of each whole string, its stop included: (n,) float64.

        A word that the model does not know counts with the probability of an unknown one.

        label: of a model that was trained with labels, that of the strings, which is then given;
          without it they may have any. Minus infinity for a label that the model never makes.
        on_unknown: "error" raises `OptionError` for a string that holds a character the model never
          saw or is longer than its block; with "-inf" minus infinity is the score of that string.
        batch_size: strings scored together, which changes the speed only.
        """
        batch_size = _parse_batch_size(batch_size)
        listed = list_strings(strings, cancellation)
        known, encoded = self._encode_all(listed, on_unknown, cancellation)
        begins = self._label_ids(label)
        found = np.full(len(known), -np.inf)
        for begin in begins:
            each = [[*begin, *ids] for ids in until_cancelled(encoded, cancellation)]
            request = self.request(
                each,
                max_length=max(map(len, each), default=1),
                batch_size=self.rows_together(batch_size),
            )
            decoded = self.decode(request, len(each), cancellation=cancellation)
            found = np.logaddexp(found, decoded.log_probs)
        if label is not None:
            given = self.token_log_probs(begins, cancellation=cancellation)[0]
            if given > -np.inf:
                found -= given
        scores = np.full(len(listed), -np.inf)
        scores[known] = found
        return scores

    def _label_ids(self, label: str | None) -> list[list[int]]:
        """What strings to be scored may begin with."""
        vocabulary = self.vocabulary
        if label is not None:
            return [[vocabulary.label_id(label)]]
        if not vocabulary.labels:
            return [[]]
        return [[i] for i in range(vocabulary.first_label, len(vocabulary))]

    def score_tokens(
        self,
        strings: Iterable[str],
        *,
        label: str | None = None,
        on_unknown: Literal["error", "-inf"] = "error",
        batch_size: int | None = None,
        cancellation: CancellationToken | None = None,
    ) -> list[NDArray[np.float64]]:
        """Natural-log probability of each token of each string, given those before it.

        An array (length + 1,) for each string: its characters or words, and last the stop. Its sum
        is the string's score, given its label, which a model with labels needs. Options as those of
        `score`; with on_unknown "-inf" a string that has no ids is an array of one, minus infinity.
        """
        self.require_label(label, "score_tokens")
        batch_size = _parse_batch_size(batch_size)
        listed = list_strings(strings, cancellation)
        known, encoded = self._encode_all(listed, on_unknown, cancellation)
        if label is not None:
            encoded = [[self.vocabulary.label_id(label), *ids] for ids in encoded]
        scores = [np.array([-np.inf])] * len(listed)
        for begin in range(0, len(encoded), _CHUNK):
            some = encoded[begin : begin + _CHUNK]
            log_probs = self.token_log_probs(some, batch_size=batch_size, cancellation=cancellation)
            each = np.split(log_probs, np.cumsum([len(ids) for ids in some])[:-1])
            for index, of_string in zip(known[begin : begin + _CHUNK], each, strict=True):
                scores[index] = of_string[int(label is not None) :]
        return scores

    def perplexity(
        self,
        strings: Iterable[str],
        *,
        label: str | None = None,
        batch_size: int | None = None,
        cancellation: CancellationToken | None = None,
    ) -> float:
        """Exp of the mean negative log-probability of a token, over all strings, stops included.

        `OptionError` where there are none, or one that `score` refuses.
        """
        listed = list_strings(strings, cancellation)
        if not listed:
            raise OptionError("perplexity needs at least 1 string; there are 0")
        scores = self.score(listed, label=label, batch_size=batch_size, cancellation=cancellation)
        vocabulary, counted = self.vocabulary, until_cancelled(listed, cancellation)
        tokens = sum(len(vocabulary.encode(string)) + 1 for string in counted)
        return float(np.exp(-scores.sum() / tokens))

    def rank(
        self,
        strings: Iterable[str],
        *,
        on_unknown: Literal["error", "-inf"] = "error",
        cancellation: CancellationToken | None = None,
    ) -> Ranks:
        """How many strings the model holds for likelier than each: the guesses that one who tries
        strings from the likeliest on needs before it.

        An estimate from one sample of 100,000 strings, which is drawn at the first call and kept
        (Dell'Amico and Filippone, 2015, Monte Carlo Strength Evaluation, section 3.1), with its
        standard error. Infinite for a string of score minus infinity. Strings that would be longer
        than `max_length` do not count, nor does the empty string. `OptionError` for a model with
        labels.
        """
        if self.label_tokens:
            raise OptionError("rank is for a model without labels: a string may have any of them")
        scores = self.score(strings, on_unknown=on_unknown, cancellation=cancellation)
        likelier, ranks, errors = self._ranking.get(lambda: self._new_ranking(cancellation))
        place = np.searchsorted(likelier, -scores - _ROUNDING, side="left")
        known = scores > -np.inf
        return Ranks(np.where(known, ranks[place], np.inf), np.where(known, errors[place], np.inf))

    def _new_ranking(self, cancellation: CancellationToken | None) -> tuple[NDArray[Any], ...]:
        """Of a sample: -log p, rising, (n,), and the rank and its error before each, (n + 1,)."""
        draw: dict[str, Any] = {"max_length": self.artifact.max_length, **self.draw(DrawOptions())}
        decoded = self.decode(self.request(**draw), RANK_SAMPLES, cancellation=cancellation)
        counted = (decoded.stopped == 1) & (np.diff(decoded.offsets) > 0)
        costs = drawn = -decoded.log_probs[counted]
        if self.vocabulary.mask():  # what is never made has a probability, but is not drawn
            request = self.request(**draw, strategy="tree", drawn_log_probs=True)
            again = self.decode(request, RANK_SAMPLES, cancellation=cancellation)
            drawn = -again.log_probs[counted]
        order = np.argsort(costs, kind="stable")
        costs = costs[order]
        with np.errstate(over="ignore", invalid="ignore"):  # of strings that are very long
            inverse = np.exp(drawn[order])  # 1 / the probability with which it was drawn
            ranks = np.concatenate([[0.0], np.cumsum(inverse)]) / RANK_SAMPLES
            squares = np.concatenate([[0.0], np.cumsum(inverse**2)]) / RANK_SAMPLES
            errors = np.sqrt(np.maximum(squares - ranks**2, 0) / RANK_SAMPLES)
        return costs, ranks, np.nan_to_num(errors, nan=np.inf, posinf=np.inf)

    def _encode_all(
        self,
        strings: Sequence[str],
        on_unknown: str,
        cancellation: CancellationToken | None,
    ) -> tuple[list[int], list[list[int]]]:
        """Which strings can be encoded, and their ids with the stop."""
        if on_unknown not in ("error", "-inf"):
            raise OptionError(f"on_unknown is {shown(on_unknown)}; it must be 'error' or '-inf'")
        known: list[int] = []
        encoded: list[list[int]] = []
        for i, string in enumerate(until_cancelled(strings, cancellation)):
            try:
                ids = self.encode(string)
            except OptionError as error:
                if on_unknown == "error":
                    raise OptionError(f"string number {i + 1}: {error}") from None
                continue
            known.append(i)
            encoded.append([*ids, STOP])
        return known, encoded


def _parse_batch_size(batch_size: int | None) -> int:
    size: int = _BATCH_SIZE.parse("batch_size", BATCH_SIZE if batch_size is None else batch_size)
    return size


def list_strings(strings: Iterable[str], cancellation: CancellationToken | None) -> list[str]:
    """What `score` is given as a list; `OptionTypeError` where it is not all strings."""
    if isinstance(strings, str | bytes):
        raise OptionTypeError(f"score takes a list of strings, not one: {shown(strings)}")
    try:
        listed = list(until_cancelled(strings, cancellation))
    except TypeError:
        raise OptionTypeError(f"score takes a list of strings, not {shown(strings)}") from None
    numbered = enumerate(until_cancelled(listed, cancellation), 1)
    return [_STRING.parse(f"string number {i}", each) for i, each in numbered]
