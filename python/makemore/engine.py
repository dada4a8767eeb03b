"""A model that is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from makemore import _core
from makemore.artifact import Artifact
from makemore.decoded import end_to_end
from makemore.decoder import CACHE_BYTES, Decoder, no_step
from makemore.errors import OptionError, OptionTypeError
from makemore.limits import shown
from makemore.options import DrawOptions
from makemore.step import Step

if TYPE_CHECKING:
    from typing_extensions import Self


class LoadedFrom(Protocol):
    """Where a model comes from."""

    def reduce(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A function that loads the model again in another process, and its arguments."""


class Engine(Decoder):
    """The model of an artifact, and what strings and the options of calls mean to it."""

    _loaded_from: LoadedFrom | None = None
    """What `makemore.load` opened, and how; None for an engine over another step."""

    def __init__(
        self,
        artifact: Artifact,
        new_step: Callable[[], Step],
        *,
        device: str = "cpu",
        threads: int = 1,
        max_rows: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """A model over any step.

        new_step: makes a step; a call uses up to `threads` of them at a time.
        max_rows: rows that a step takes at most; larger batches are made smaller.
        cache_bytes: memory for the logits of common prefixes, for all calls together; 0: none is
          kept. Steps that are written in Python have no cache.
        """
        super().__init__(
            artifact.vocabulary,
            new_step,
            threads=threads,
            max_rows=max_rows,
            cache_bytes=cache_bytes,
        )
        self.artifact = artifact
        self.device = device
        self._begin()

    def _begin(self) -> None:
        """Makes what a subclass keeps beside the model."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A pickle says where the artifact is and how it was loaded; it is loaded again from there.

        `ArtifactError` where the file has changed since.
        """
        if self._loaded_from is None:
            raise OptionTypeError(
                "this sampler cannot be pickled: it was made with a new_step of its own, "
                "not by makemore.load"
            )
        return self._loaded_from.reduce()

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self.__copy__()

    def __copy__(self) -> Self:
        """Another one over the same model, with an empty cache."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._new_pool()
        return other

    def __repr__(self) -> str:
        training = self.artifact.training
        losses = training.losses.items() if training else ()
        nats = ", ".join(f"{name} {'inf' if n is None else f'{n:.4f}'}" for name, n in losses)
        return (
            f"<{type(self).__name__}: {self.artifact.model.type}, {len(self.vocabulary):,} tokens "
            f"({self.artifact.level}s), on {self.device}, nats per {self.artifact.level}: "
            f"{nats or 'unknown'}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def encode(self, string: str) -> list[int]:
        """Ids of a string as `score` takes it, start and stop left out.

        Raises `OptionError` for a character the model never saw or a string longer than its block.
        """
        ids = self.vocabulary.encode(string)
        self.check_length(len(ids), f"{shown(string)} has")
        return ids

    def texts(self, strings: Sequence[Sequence[int]]) -> list[str]:
        """The text of each string of ids."""
        return self.vocabulary.decode(*end_to_end(strings))

    @property
    def label_tokens(self) -> int:
        """How many tokens of each string are its label: 1, or 0 without labels."""
        return int(bool(self.artifact.labels))

    def require_label(self, label: str | None, what: str) -> None:
        """`OptionError` where the model has labels and none is given."""
        if label is None and self.label_tokens:
            labels = ", ".join(map(repr, self.vocabulary.labels))
            raise OptionError(f"{what} needs the label of a string, one of {labels}")

    def check_length(self, length: int, what: str) -> None:
        """`OptionError` where the model knows no string so long, its label not counted."""
        block_size = self.artifact.block_size
        if block_size is not None and length > block_size - 1 - self.label_tokens:
            raise OptionError(
                f"{what} {length} {self.artifact.level}s; "
                f"a block of {block_size} holds {block_size - 1 - self.label_tokens}"
            )

    def max_length_of(self, options: DrawOptions) -> int:
        """Most tokens of a string, its label counted."""
        if options.max_length is None:
            return self.artifact.max_length + self.label_tokens
        self.check_length(options.max_length, "max_length is")
        return options.max_length + self.label_tokens

    def prompt_of(self, prefix: str, options: DrawOptions) -> list[int]:
        """Ids that a string is forced to begin with: those of its label and of a prefix."""
        prompt = self.vocabulary.prompt(prefix)
        max_length = self.max_length_of(options) - self.label_tokens
        if len(prompt) > max_length:
            raise OptionError(
                f"prefix {prefix!r} has {len(prompt)} {self.artifact.level}s; "
                f"max_length is {max_length}"
            )
        if options.label is not None:
            return [self.vocabulary.label_id(options.label), *prompt]
        if prompt:
            self.require_label(None, f"prefix {prefix!r}")
        return prompt

    def draw(self, options: DrawOptions) -> dict[str, Any]:
        """What the core takes of how a token is drawn. `OptionError` where the model is closed."""
        if self.new_step is no_step:
            no_step()
        excluded = self.vocabulary.mask(options.exclude)
        draw: dict[str, Any] = {
            "options": _core.SamplingOptions(
                temperature=options.temperature,
                top_k=options.top_k,
                top_p=options.top_p,
                min_p=options.min_p,
            ),
            "excluded": _core.ExcludedTokens(excluded, len(self.vocabulary)) if excluded else None,
            "batch_size": self.rows_together(options.batch_size),
        }
        if options.adjust is not None or options.penalty != 1:
            draw["processors"] = self._processors(options)
        return draw

    def _processors(self, options: DrawOptions) -> list[_core.LogitsProcessor]:
        processors: list[_core.LogitsProcessor] = []
        if options.adjust is not None:
            processors.append(_core.PythonProcessor(options.adjust))
        if options.penalty != 1:
            processors.append(_core.RepetitionPenalty(options.penalty))
        return processors
