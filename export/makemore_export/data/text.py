"""A text file, one thing per line, and what training needs of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from copy import copy
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import torch
from makemore.errors import DataError
from makemore.vocabulary import STOP, Vocabulary
from torch import Tensor

BUILTIN = "us-names-2018.txt"
"""The data set that ships with the package; `README.md` has its provenance."""

PARTS = ("train", "dev", "test")
PADDING = -1
"""The target at a position past the end of a string."""

_TOKENS_PER_BATCH = 1 << 13  # their activations fit in the cache of a core
_LOGITS_PER_BATCH = 1 << 24


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of a file that hold something, and what was met on the way.

    `numbers[i]` is the line number of `lines[i]` in the file, from 1; `sha256` is of the file's
    bytes; `duplicates` counts the lines equal to an earlier one, `crlf` the line ends of Windows.
    """

    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    name: str
    sha256: str
    blank: int
    duplicates: int
    crlf: int
    bom: bool


def read_text(path: Path | None = None, encoding: str = "utf-8") -> Text:
    r"""Reads one thing per line; without `path`, the data set that ships.

    Lines end with \n, \r\n or \r, nothing else; white space at both ends of a line is dropped, and
    so are blank lines and a byte order mark. `DataError` if the file cannot be read or decoded, or
    holds nothing.
    """
    name, raw = _read_bytes(path)
    text = _decode(name, raw, encoding)
    bom = text.startswith("\ufeff")
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))]
    if not lines[-1]:
        lines.pop()  # what follows the last line end is not a line
    kept = [(number, line) for number, line in enumerate(lines, start=1) if line]
    if not kept:
        raise DataError(f"{name}: no line holds anything, of {len(lines)}; at least 1 is needed")
    return Text(
        lines=tuple(line for _, line in kept),
        numbers=tuple(number for number, _ in kept),
        name=name,
        sha256=hashlib.sha256(raw).hexdigest(),
        blank=len(lines) - len(kept),
        duplicates=len(kept) - len({line for _, line in kept}),
        crlf=text.count("\r\n"),
        bom=bom,
    )


def _read_bytes(path: Path | None) -> tuple[str, bytes]:
    if path is None:
        return BUILTIN, files(__package__).joinpath(BUILTIN).read_bytes()
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the text: {error.strerror}") from None


def _decode(name: str, raw: bytes, encoding: str) -> str:
    try:
        text = raw.decode(encoding)
    except LookupError:
        raise DataError(f"{encoding!r} is not an encoding of text; utf-8 is the default") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: byte {error.start} is not {encoding}: {error.reason}; "
            "name the file's own encoding with --encoding"
        ) from None
    if "\0" in text:
        raise DataError(
            f"{name}: character {text.index(chr(0))} is NUL: a binary file, or not {encoding}; "
            "a text is needed, or its own encoding with --encoding"
        )
    return text


def parse_split(text: str) -> tuple[float, float, float]:
    """Percentages of train, dev, test from `80/10/10`; parts left out at the end are 0."""
    try:
        percents = [float(percent) for percent in text.split("/")]
    except ValueError:
        percents = []
    percents += [0.0] * (len(PARTS) - len(percents))
    if len(percents) > len(PARTS) or not percents[0] or min(percents) < 0 or sum(percents) != 100:
        raise DataError(
            f"split {text!r} must be percentages of {'/'.join(PARTS)} that sum to 100, "
            "with some for train: 80/10/10"
        )
    train, dev, test = percents
    return train, dev, test


def split(
    lines: Sequence[str],
    percents: tuple[float, float, float],
    seed: int,
    *,
    keep_duplicates: bool = False,
) -> dict[str, list[str]]:
    """Shuffles and cuts `lines` into the parts of `PARTS` with a percentage above 0.

    Unless `keep_duplicates`, duplicates are dropped first, so that no line of one part is in
    another. `DataError` if a part would be empty.
    """
    pool = list(lines if keep_duplicates else dict.fromkeys(lines))
    order = np.random.default_rng(seed).permutation(len(pool))
    ends = [round(len(pool) * sum(percents[: i + 1]) / 100) for i in range(len(PARTS))]
    parts = {}
    for part, percent, begin, end in zip(PARTS, percents, [0, *ends], ends, strict=False):
        if percent > 0:
            parts[part] = [pool[i] for i in order[begin:end]]
            if begin == end:
                raise DataError(
                    f"{percent:g}% of {len(pool)} lines leaves none for {part}; it needs 1"
                )
    return parts


class Strings:
    """Encoded strings, laid end to end: a 0 before, between and after them.

    The stop of one string is the start of the next, so padding is made only within a batch.
    """

    def __init__(self, lines: Sequence[str], vocabulary: Vocabulary, device: str = "cpu") -> None:
        self.vocab_size = len(vocabulary)
        flat = [STOP]
        counts = []
        for line in lines:
            ids = vocabulary.encode(line)
            flat += [*ids, STOP]
            counts.append(len(ids))
        slack = [STOP] * max(counts, default=0)  # so that the longest window may begin anywhere
        self._padded = torch.tensor(flat + slack, device=device)
        lengths = torch.tensor(counts)
        self.tokens = self._padded[: len(flat)]  # (sum of lengths + N + 1,)
        self.lengths = lengths.to(device)  # (N,)
        self.starts = (torch.cumsum(lengths + 1, 0) - lengths - 1).to(device)  # (N,)

    def __len__(self) -> int:
        return len(self.lengths)

    def first(self, n: int) -> Strings:
        """The first n strings, or all where there are fewer."""
        part = copy(self)
        part.lengths, part.starts = self.lengths[:n], self.starts[:n]
        return part

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets of strings `rows` (B,): int64 (B, T), T the longest of them plus 1.

        A row of inputs is 0 c1 ... cL 0 ..., one of targets c1 ... cL 0 `PADDING` ....
        """
        lengths = self.lengths[rows]
        time = torch.arange(int(lengths.max()) + 1, device=rows.device)  # (T,)
        shape = (len(self._padded) - len(time), len(time) + 1)
        windows = self._padded.as_strided(shape, (1, 1))
        taken = windows[self.starts[rows]]  # (B, T + 1)
        padding = time > lengths[:, None]  # (B, T)
        return (
            taken[:, :-1].masked_fill(padding, STOP),
            taken[:, 1:].masked_fill(padding, PADDING),
        )

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All strings once, shortest first, so that little is padding."""
        order = self.lengths.argsort(stable=True)
        tokens = min(_TOKENS_PER_BATCH, _LOGITS_PER_BATCH // self.vocab_size)
        rows = max(1, tokens // (int(self.lengths.max()) + 1))
        for begin in range(0, len(order), rows):
            yield self.batch(order[begin : begin + rows])
