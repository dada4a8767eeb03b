"""What can go wrong, a type per culprit. A message names the thing, the value and the limit."""


class MakemoreError(Exception):
    """Base of every error that makemore raises on purpose."""


class OptionError(MakemoreError, ValueError):
    """The caller asked for something that cannot be: an option, a prefix, a string to score."""


class ArtifactError(MakemoreError, ValueError):
    """The file is not an artifact that this version can read."""


class DataError(MakemoreError, ValueError):
    """The training text cannot be read or used."""


class OrtError(MakemoreError, RuntimeError):
    """ONNX Runtime is missing, unusable, or failed while it ran."""


class CheckpointError(MakemoreError, ValueError):
    """The file is not a checkpoint that this version can read, or one of another run."""


class TrainingError(MakemoreError, RuntimeError):
    """Training came to nothing: its loss is no number, or never falls."""


class ExportError(MakemoreError, RuntimeError):
    """An exported file does not do what the model does."""
