"""What can go wrong, a type per culprit. A message names the thing, the value and the limit."""

from typing import Any

_MAX_MESSAGE = 2000
"""Characters of a message; what a file says of itself may have any number."""


class MakemoreError(Exception):
    """Base of every error that makemore raises on purpose."""

    def __str__(self) -> str:
        text = super().__str__()
        return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + " ..."


class OptionError(MakemoreError, ValueError):
    """The caller asked for something that cannot be: an option, a prefix, a string to score."""


class OptionTypeError(OptionError, TypeError):
    """An option, or a string to score, of a type that it cannot have."""


class ExhaustedError(MakemoreError):
    """No more strings pass, or none was found in as many rows as may be tried.

    found: what the call would have returned, so far; a stream has returned it already.
    rows: how many were tried. mass: the probability of the strings that were found and of what can
    never pass, together; None where it is not known.
    """

    found: list[Any]

    def __init__(self, message: str, *, rows: int, mass: float | None = None) -> None:
        super().__init__(message)
        self.found = []
        self.rows = rows
        self.mass = mass

    def __reduce__(self) -> tuple[Any, ...]:
        return _exhausted, (self.args[0], self.rows, self.mass, self.found)


def _exhausted(message: str, rows: int, mass: float | None, found: list[Any]) -> ExhaustedError:
    error = ExhaustedError(message, rows=rows, mass=mass)
    error.found = found
    return error


class ArtifactError(MakemoreError, ValueError):
    """The file is not an artifact that this version can read."""


class DataError(MakemoreError, ValueError):
    """A text, to train on or to score, cannot be read or used."""


class StepError(MakemoreError, RuntimeError):
    """A step breaks the contract of `makemore.step.Step`, whoever wrote it."""


class CancelledError(MakemoreError):
    """The call was cancelled by its `CancellationToken`."""


class MissingDependencyError(MakemoreError, ImportError):
    """A package that this needs, and makemore itself does not, is not installed."""


class OrtError(MakemoreError, RuntimeError):
    """ONNX Runtime is missing, unusable, or failed while it ran."""


class WorkerError(MakemoreError, RuntimeError):
    """A process that works for this one died again and again at the same task."""


class CheckpointError(MakemoreError, ValueError):
    """The file is not a checkpoint that this version can read, or one of another run."""


class TrainingError(MakemoreError, RuntimeError):
    """Training came to nothing: its loss is no number, or never falls."""


class ExportError(MakemoreError, RuntimeError):
    """An exported file does not do what the model does."""
