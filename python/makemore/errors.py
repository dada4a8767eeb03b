"""What can go wrong, a type per culprit. A message names the thing, the value and the limit."""


class MakemoreError(Exception):
    """Base of every error that makemore raises on purpose."""


class OptionError(MakemoreError, ValueError):
    """The caller asked for something that cannot be: an option, a prefix, a string to score."""


class OptionTypeError(OptionError, TypeError):
    """An option, or a string to score, of a type that it cannot have."""


class ArtifactError(MakemoreError, ValueError):
    """The file is not an artifact that this version can read."""


class DataError(MakemoreError, ValueError):
    """The training text cannot be read or used."""


class OrtError(MakemoreError, RuntimeError):
    """ONNX Runtime is missing, unusable, or failed while it ran."""
