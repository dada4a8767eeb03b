"""How much of what a model makes is new."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import Literal, TypeAlias

import msgspec
from makemore import Sampler
from makemore.artifact import Artifact
from makemore.vocabulary import LABEL_END

SAMPLES = 1000

Known: TypeAlias = Literal["train", "train and dev"]
"""What a model was trained on: `BOTH` after a refit."""

_LONGEST = 4096  # tokens of a sample, which of a list of long lines may be millions
_AT_ONCE = 1 << 17  # lines


class Memorised(msgspec.Struct, frozen=True, kw_only=True):
    """How probable it is that a string of the model is one of train, `of_train`, and `losses`:
    those of dev and test, in nats per token, of the model given that its string is none of train.

    No string of a split without duplicates is one of train. The model does not know that; it gives
    the strings that it was trained on more than their share. Without them, as `novel` samples, it
    is a better model of new strings: each of n tokens on average, stops counted, costs
    log(1 - `of_train`) / n less.
    """

    of_train: float
    losses: dict[str, float]
    known: Known = "train"

    def __str__(self) -> str:
        losses = "  ".join(f"{name} {loss:.4f}" for name, loss in self.losses.items())
        return (
            f"{self.of_train:.1%} of its probability is on strings of {self.known}; "
            f"given that a string is none of them: {losses}"
        )


class Novelty(msgspec.Struct, frozen=True, kw_only=True):
    """Of `samples` strings from a model: how many are lines of its text.

    `in_train` are lines of train, `held_out` lines of dev or test only, and the others are new;
    what is `known` counts as train. `distinct` is the number of different strings. `mean_length`,
    and `mean_prefix` and `longest_prefix` of what a sample shares with the start of a training
    line, are in characters. `memorised` is None where it was not measured: for a text with
    duplicates, or a large one.
    """

    samples: int
    in_train: int
    held_out: int
    distinct: int
    mean_length: float
    mean_prefix: float
    longest_prefix: int
    memorised: Memorised | None = None
    known: Known = "train"

    def __str__(self) -> str:
        new = self.samples - self.in_train - self.held_out
        held_out = "dev or test" if self.known == "train" else "test"
        return (
            f"{self._share(new)} new, {self._share(self.in_train)} in {self.known}, "
            f"{self._share(self.held_out)} in {held_out}; {self._share(self.distinct)} distinct; "
            f"the first {self.mean_prefix:.1f} of {self.mean_length:.1f} characters, at most "
            f"{self.longest_prefix}, are those of a training line"
        )

    def _share(self, count: int) -> str:
        return f"{count / self.samples:.1%}"


def measure(sampler: Sampler, splits: Mapping[str, Iterable[str]], seed: int) -> Novelty:
    """Compares `SAMPLES` strings of `sampler`, with default options, to the lines of each split."""
    made = {name: as_made(sampler.artifact, lines) for name, lines in splits.items()}
    longest = min(sampler.artifact.max_length, _LONGEST)
    return compare(sampler.sample(SAMPLES, seed=seed, min_length=0, max_length=longest), made)


def as_made(artifact: Artifact, lines: Iterable[str]) -> Iterable[str]:
    """Lines as a model would make them: without labels, and words with single spaces."""
    if artifact.labels:
        lines = (line.partition(LABEL_END)[2] for line in lines)
    return (" ".join(line.split()) for line in lines) if artifact.level == "word" else lines


def compare(samples: Sequence[str], splits: Mapping[str, Iterable[str]]) -> Novelty:
    """Compares at least one sample to the lines of train, and of dev and test where there are.

    It holds some of the lines at a time.
    """
    wanted, found = {*samples}, {name: set[str]() for name in splits}
    shared = dict.fromkeys(wanted, 0)
    for name, lines in splits.items():
        left = iter(lines)
        while known := {*islice(left, _AT_ONCE)}:
            found[name] |= wanted & known
            if name == "train":
                ordered = sorted(known)
                shared = {s: max(n, _shared_prefix(s, ordered)) for s, n in shared.items()}
    held_out = set().union(*found.values()) - found["train"]
    return Novelty(
        samples=len(samples),
        in_train=sum(sample in found["train"] for sample in samples),
        held_out=sum(sample in held_out for sample in samples),
        distinct=len(wanted),
        mean_length=fmean(map(len, samples)),
        mean_prefix=fmean(shared[sample] for sample in samples),
        longest_prefix=max(shared.values()),
    )


def _shared_prefix(string: str, ordered: Sequence[str]) -> int:
    """Length of the longest prefix of `string` that starts one of the sorted strings `ordered`.

    A string that shares the most is next to the place of `string` in that order.
    """
    at = bisect_left(ordered, string)
    return max(_in_common(string, other) for other in ordered[max(at - 1, 0) : at + 1])


def _in_common(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
