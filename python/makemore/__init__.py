"""makemore: strings like those of a text file, sampled from one artifact without PyTorch.

    >>> import makemore
    >>> names = makemore.load("names")
    >>> names.sample(3, seed=1)
    ['tanvish', 'suriah', 'khalahn']

`load` opens what `mm-export` wrote; the `Sampler` it returns makes strings and scores them.
"""

from importlib.metadata import version

from makemore import _interpreter  # noqa: F401  # before the C++ core
from makemore._core import CancellationToken
from makemore.artifact import Artifact
from makemore.errors import (
    ArtifactError,
    CancelledError,
    DataError,
    ExhaustedError,
    MakemoreError,
    MissingDependencyError,
    OptionError,
    OptionTypeError,
    OrtError,
    StepError,
)
from makemore.loading import load
from makemore.options import SampleOptions
from makemore.sample import Sample, SampleColumns
from makemore.sampler import NextToken, Sampler
from makemore.scorer import Ranks
from makemore.search.most_likely import MostLikely
from makemore.search.prepared import PreparedRequest
from makemore.search.stream import AsyncSampleStream, SampleStream

__version__ = version("makemore")

__all__ = [
    "Artifact",
    "ArtifactError",
    "AsyncSampleStream",
    "CancellationToken",
    "CancelledError",
    "DataError",
    "ExhaustedError",
    "MakemoreError",
    "MissingDependencyError",
    "MostLikely",
    "NextToken",
    "OptionError",
    "OptionTypeError",
    "OrtError",
    "PreparedRequest",
    "Ranks",
    "Sample",
    "SampleColumns",
    "SampleOptions",
    "SampleStream",
    "Sampler",
    "StepError",
    "load",
]
