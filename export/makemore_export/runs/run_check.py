"""Whether the choices of a run can be: a file from elsewhere may hold anything."""

from __future__ import annotations

from collections import Counter

import msgspec
from makemore.errors import CheckpointError, MakemoreError, OptionError
from makemore.word_vocabulary import LINE_FEED

from makemore_export.configs import CONFIGS, BlendConfig, ModelSpec
from makemore_export.data.splits import check_split
from makemore_export.runs.run import Run

_SHOWN = 400  # characters of a message of PyTorch, which may list a thousand tensors


def check_choices(run: Run) -> None:
    """`CheckpointError` for a run of tokens, percentages or options that no training has."""
    _check_tokens(run)
    try:
        check_split(run.split, "run.split")
        _check_options(run.spec)
    except (MakemoreError, ValueError, RecursionError) as error:
        raise CheckpointError(shortened(f"run: {error}")) from None
    if (run.recipe is None) != (CONFIGS[run.model].recipe is None):
        needs = "none" if run.recipe else "one"
        raise CheckpointError(f"run.recipe: model {run.model!r} takes {needs}")


def _check_options(spec: ModelSpec) -> None:
    if spec.model not in CONFIGS:
        raise OptionError(f"model {spec.model!r} is unknown here; known: {', '.join(CONFIGS)}")
    config = msgspec.convert(spec.config, CONFIGS[spec.model])
    if isinstance(config, BlendConfig):
        for component in config.parts:
            _check_options(component)


def _check_tokens(run: Run) -> None:
    if run.split_pattern is not None and run.level != "token":
        raise CheckpointError(f"run.split_pattern is for level 'token', not {run.level!r}")
    if not run.tokens:
        raise CheckpointError("run.tokens is empty; at least 1 is needed")
    for i, token in enumerate(run.tokens):
        bare = token.removeprefix(" ")
        if run.level == "character" and len(token) != 1:
            raise CheckpointError(f"run.tokens[{i}] is {token!r}; it must be 1 code point")
        if run.level == "token" and not token:
            raise CheckpointError(f"run.tokens[{i}] is empty; it must be 1 code point or more")
        if run.level == "word" and token != LINE_FEED and bare.split() != [bare]:
            raise CheckpointError(f"run.tokens[{i}] is {token!r}; it must be a word")
    for name, values in (("tokens", run.tokens), ("labels", run.labels)):
        for value, times in Counter(values).most_common(1):
            if times > 1:
                raise CheckpointError(f"run.{name} holds {value!r} {times} times; 1 is the limit")


def shortened(message: str) -> str:
    """On one line, and not all of a long one."""
    message = " ".join(message.split())
    return message if len(message) <= _SHOWN else message[:_SHOWN] + " ..."
