"""What one mutant goes through: loaded, and if that succeeds, used in every way there is.

Allowed is a normal run, or an error of `makemore.errors`. Everything else leaves this module as it
was raised, and is a finding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import makemore
import numpy as np
from click.testing import CliRunner
from makemore import MakemoreError, Sampler

LENGTH = 64
"""Longest strings asked for, so that a model that never stops is no hang."""

LONGEST_MESSAGE = 4000
"""Characters of an error's message. A file does not decide how much of a screen is filled."""


class UnexpectedError(AssertionError):
    """Something was done that is neither an error nor right."""


def exercise(folder: Path, *, inspect: bool = False) -> str:
    """What became of the artifact in `folder`: "runs", or the error that refused it, and where."""
    try:
        sampler = makemore.load(folder, threads=1)
    except MakemoreError as error:
        _check_message(error)
        return f"{type(error).__name__} at load"
    failed = [*filter(None, (_attempt(use, sampler) for use in USES))]
    if inspect:
        _inspect(folder)
    _attempt(_refuse_bad_arguments, sampler)
    return f"{failed[0]} at use" if failed else "runs"


def _attempt(use: Callable[[Sampler], None], sampler: Sampler) -> str:
    try:
        use(sampler)
    except MakemoreError as error:
        _check_message(error)
        return type(error).__name__
    return ""


def _check_message(error: MakemoreError) -> None:
    message = str(error)
    if len(message) > LONGEST_MESSAGE:
        raise UnexpectedError(f"a message of over {LONGEST_MESSAGE} characters: {message[:60]!r}")


def _length(sampler: Sampler) -> int:
    return min(LENGTH, sampler.artifact.max_length)


def _sample(sampler: Sampler) -> None:
    for options in ({}, {"temperature": 0.0}, {"top_k": 2}, {"top_p": 0.5, "min_p": 0.1}):
        strings = sampler.sample(8, seed=1, max_length=_length(sampler), **options)
        if len(strings) != 8:
            raise UnexpectedError(f"{len(strings)} strings, not 8")


def _sample_to_the_end(sampler: Sampler) -> None:
    sampler.sample(1, seed=1)


def _sample_ids(sampler: Sampler) -> None:
    vocab_size, max_length = len(sampler.vocabulary), _length(sampler)
    longest = max_length + bool(sampler.vocabulary.labels)  # a label does not count
    for sample in sampler.sample_ids(300, seed=2, max_length=max_length, batch_size=50):
        ids = sample.ids
        if len(ids) > longest or not ((ids > 0) & (ids < vocab_size)).all():
            raise UnexpectedError(f"ids {ids} of {vocab_size} tokens, at most {longest} long")


def _score(sampler: Sampler) -> None:
    tokens = sampler.artifact.tokens
    scores = sampler.score(["", tokens[0], tokens[-1] * min(3, _length(sampler))])
    if scores.shape != (3,):
        raise UnexpectedError(f"scores of shape {scores.shape}")


def _step(sampler: Sampler) -> None:
    vocab_size = len(sampler.vocabulary)
    last = min(3, sampler.artifact.max_length)
    for rows in (1, 2, 3, 70):
        step = sampler.new_step()
        step.reset(rows)
        for position in range(last):
            tokens = np.arange(rows, dtype=np.int64) % vocab_size
            logits = np.asarray(step.run(tokens, np.full(rows, position, np.int64)))
            if logits.shape != (rows, vocab_size):
                raise UnexpectedError(f"logits of shape {logits.shape}, not {(rows, vocab_size)}")
            float(logits.sum())
        step.select(np.arange(rows // 2, dtype=np.int64))


def _show(sampler: Sampler) -> None:
    repr(sampler)
    sampler.artifact.to_json()


USES = (_sample, _sample_to_the_end, _sample_ids, _score, _step, _show)


def _refuse_bad_arguments(sampler: Sampler) -> None:
    """Tokens, positions and rows that the model does not have."""
    block_size, vocab_size = sampler.artifact.block_size, len(sampler.vocabulary)
    bad: list[tuple[str, list[Any]]] = [
        ("run", [[-1], [0]]),
        ("run", [[vocab_size], [0]]),
        ("run", [[2**62], [0]]),
        ("run", [[0], [-1]]),
        ("run", [[0], [-(2**63)]]),
        ("run", [[0, 0], [0, 0]]),
        ("run", [[], [0]]),
        ("select", [[1]]),
        ("select", [[-1]]),
        ("reset", [-1]),
        ("reset", [2**62]),
    ]
    if block_size is not None:
        bad.append(("run", [[0], [block_size]]))
    for method, arguments in bad:
        step = sampler.new_step()
        step.reset(1)
        with contextlib.suppress(MakemoreError):
            getattr(step, method)(*arguments)
            raise UnexpectedError(f"{method}{tuple(arguments)} was accepted")


def _inspect(folder: Path) -> None:
    """`mm-inspect` ends with an exit code, not with a traceback."""
    (command,) = entry_points(group="console_scripts", name="mm-inspect")
    result = CliRunner().invoke(command.load(), [str(folder)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code not in (0, 1, 2):
        raise UnexpectedError(f"mm-inspect ended with {result.exit_code}")
