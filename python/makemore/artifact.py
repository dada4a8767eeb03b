"""What an artifact says about itself: one JSON string inside `model.onnx` and `model.ts`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from msgspec import structs

from makemore.errors import ArtifactError, OptionError
from makemore.limits import shown
from makemore.metadata import (
    DataInfo,
    Golden,
    ModelInfo,
    OriginInfo,
    Precision,
    StateSpec,
    Text,
    TrainingInfo,
)
from makemore.token_vocabulary import new_vocabulary
from makemore.vocabulary import Level, Vocabulary
from makemore.word_vocabulary import LINE_FEED

__all__ = [
    "LENGTH_LIMIT",
    "MAX_METADATA",
    "METADATA_KEY",
    "SCHEMA",
    "Artifact",
    "DataInfo",
    "Golden",
    "ModelInfo",
    "OriginInfo",
    "Precision",
    "StateSpec",
    "TrainingInfo",
]

SCHEMA = 3
"""The artifact schema that this version writes; it reads every one from 1 on."""

METADATA_KEY = "makemore"
"""Key of the JSON in `metadata_props` of ONNX; with `.json` added, TorchScript's extra file."""


LENGTH_LIMIT = 100_000
"""Longest string in tokens that an artifact may ask for; a caller may ask for longer ones."""

MAX_METADATA = 2**24
"""Most bytes of the JSON."""

_MAX_DEPTH = 32
"""Of lists and objects in a model's config."""

_MAX_BLOCK = 2**31 - 1


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of an artifact.

    `tokens`: token i > 0 is `tokens[i - 1]`; token 0 starts and stops. At level "character" each is
      one code point. At level "word" each is a word, a space before it or none; one token more, the
      last, is unknown: it stands for every other word, and is never made. At level "token" each is
      any text, and `split_pattern` may cut strings; see `TokenVocabulary`.
    `labels`: a string begins with one, which is no part of its text; their ids are the last.
    `block_size`: positions the step knows, or None where any position will do.
    `max_length`: longest string made by default, in tokens.
    `training`: None where it is not known; `origin`: None for a model of `mm-train`.
    """

    schema: int = SCHEMA
    model: ModelInfo
    level: Level
    tokens: tuple[Text, ...]
    split_pattern: Text | None = None
    labels: tuple[Text, ...] = ()
    block_size: int | None
    max_length: int
    states: tuple[StateSpec, ...]
    training: TrainingInfo | None = None
    origin: OriginInfo | None = None
    versions: dict[Text, Text]
    golden: Golden

    @property
    def vocabulary(self) -> Vocabulary:
        """What encodes and decodes strings: `tokens` and those that stand for no text."""
        return new_vocabulary(self.level, self.tokens, self.split_pattern, self.labels)

    def to_json(self) -> str:
        """The JSON string that `from_json` reads."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes, source: str) -> Artifact:
        """Parses the metadata of `source`; `ArtifactError` says what is wrong and where."""
        if len(text) > MAX_METADATA:
            raise ArtifactError(
                f"{source}: {len(text)} bytes of metadata; the limit is {MAX_METADATA}"
            )
        try:
            schema = _SCHEMA.decode(text).schema
            if schema > SCHEMA:
                raise ArtifactError(
                    f"{source}: artifact schema {schema} is newer than {SCHEMA}, the newest that "
                    "this version of makemore reads: pip install --upgrade makemore"
                )
            if schema < 1:
                raise ArtifactError(f"{source}: schema is {schema}; the first is 1")
            artifact = _from_schema_1(text) if schema == 1 else _NEWEST.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ArtifactError(f"{source}: bad makemore metadata: {error}") from None
        artifact._check(source)
        return artifact

    def _check(self, source: str) -> None:
        self._check_tokens(source)
        self._check_lengths(source)
        for state in self.states:
            if not all(size >= 1 for size in state.shape):
                raise ArtifactError(
                    f"{source}: state {state.name!r} has shape {list(state.shape)}; "
                    "its sizes must be >= 1"
                )
            self._check_time_axis(state, source)
        self._check_golden(source)
        if self.training is not None:
            _check_integer(self.training.seed, "training.seed", source)
        _check_config(self.model.config, source)

    def _check_lengths(self, source: str) -> None:
        if self.max_length < 1:
            raise ArtifactError(f"{source}: max_length is {self.max_length}; at least 1 is needed")
        if self.max_length > LENGTH_LIMIT:
            raise ArtifactError(
                f"{source}: max_length is {shown(self.max_length)}; {LENGTH_LIMIT} is the limit"
            )
        if self.block_size is None:
            return
        most = self.block_size - 1 - bool(self.labels)
        if self.max_length > most:
            raise ArtifactError(
                f"{source}: max_length is {self.max_length}, "
                f"but a block of {self.block_size} holds {most} {self.level}s"
            )
        if self.block_size > _MAX_BLOCK:
            raise ArtifactError(
                f"{source}: block_size is {shown(self.block_size)}; {_MAX_BLOCK} is the limit"
            )

    def _check_golden(self, source: str) -> None:
        _check_integer(self.golden.seed, "golden.seed", source)
        if self.level == "token":  # what was made may be cut otherwise, or not at all
            return
        vocabulary = self.vocabulary  # made anew each time
        for i, string in enumerate(self.golden.strings):
            try:
                length = len(vocabulary.encode(string))
            except OptionError as error:
                raise ArtifactError(f"{source}: golden.strings[{i}]: {error}") from None
            # Words that were made may be cut otherwise when they are read again.
            if self.level == "character" and length > self.max_length:
                raise ArtifactError(
                    f"{source}: golden.strings[{i}] has {length} characters; "
                    f"max_length is {self.max_length}"
                )

    def _check_tokens(self, source: str) -> None:
        if self.split_pattern is not None and self.level != "token":
            raise ArtifactError(f"{source}: split_pattern is for level 'token', not {self.level!r}")
        if not self.tokens:
            raise ArtifactError(f"{source}: tokens is empty; at least 1 is needed")
        for i, token in enumerate(self.tokens):
            if self.level == "character" and len(token) != 1:
                raise ArtifactError(f"{source}: tokens[{i}] is {token!r}; it must be 1 code point")
            if self.level == "token" and not token:
                raise ArtifactError(
                    f"{source}: tokens[{i}] is empty; it must be 1 code point or more"
                )
            bare = token.removeprefix(" ")
            if self.level == "word" and token != LINE_FEED and bare.split() != [bare]:
                raise ArtifactError(
                    f"{source}: tokens[{i}] is {token!r}; it must be a word, at most 1 space before"
                )
        for name, values in (("tokens", self.tokens), ("labels", self.labels)):
            for value, times in Counter(values).most_common(1):
                if times > 1:
                    raise ArtifactError(
                        f"{source}: {name} holds {value!r} {times} times; 1 is the limit"
                    )

    def _check_time_axis(self, state: StateSpec, source: str) -> None:
        axis = state.time_axis
        if axis is None:
            return
        if not 0 <= axis < len(state.shape):
            raise ArtifactError(
                f"{source}: state {state.name!r} of shape {list(state.shape)} has no axis {axis}"
            )
        if state.shape[axis] != self.block_size:
            raise ArtifactError(
                f"{source}: the time axis of state {state.name!r} has {state.shape[axis]} slots, "
                f"but block_size is {self.block_size}"
            )


def _check_config(value: Any, source: str, levels: int = _MAX_DEPTH) -> None:
    """A config is any JSON, but people and other programs must be able to read it."""
    if levels == 0:
        raise ArtifactError(f"{source}: config is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, int):
        _check_integer(value, "a number of config", source)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in inner:
        _check_config(part, source, levels - 1)


def _check_integer(value: int, name: str, source: str) -> None:
    if not -(2**63) <= value < 2**64:
        raise ArtifactError(f"{source}: {name} does not fit in 64 bits")


class _SchemaOnly(msgspec.Struct):
    schema: int


class _Schema1(Artifact, frozen=True, kw_only=True):
    """Schema 1 knew no words, and called its tokens characters."""

    level: Level = "character"
    tokens: tuple[Text, ...] = msgspec.field(name="characters")


def _from_schema_1(text: str | bytes) -> Artifact:
    old = _OLDEST.decode(text)
    return Artifact(**{**structs.asdict(old), "schema": SCHEMA})


# Made when this module is imported, which one thread does while the others wait: at its first use
# msgspec looks up the types of a struct without a lock, and two threads that do so at once crash.
_SCHEMA = msgspec.json.Decoder(_SchemaOnly)
_OLDEST = msgspec.json.Decoder(_Schema1)
_NEWEST = msgspec.json.Decoder(Artifact)
