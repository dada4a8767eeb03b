from collections.abc import Callable, Sequence
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore.step import Step as AnyStep

class Library:
    def __init__(self, path: str | PathLike[str]) -> None: ...
    @property
    def version(self) -> str: ...
    def providers(self) -> list[str]: ...
    def require_cuda(self) -> None: ...

class StateTensor:
    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> list[int]: ...

class OnnxModel:
    def __init__(
        self,
        library: Library,
        file: str | PathLike[str] | bytes,
        *,
        cuda: bool = False,
        kernel: str | None = None,
        trust: bool = False,
        keep_file: bool = False,
        max_bytes: int = 536870912,
    ) -> None: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def max_rows(self) -> int: ...
    @property
    def kernel(self) -> str: ...
    @property
    def states(self) -> list[StateTensor]: ...
    def metadata(self, key: str) -> bytes: ...

def kernels() -> list[str]: ...

class Step:
    @property
    def vocab_size(self) -> int: ...
    def reset(self, rows: int) -> None: ...
    def run(self, tokens: ArrayLike, positions: ArrayLike) -> NDArray[np.float32]: ...
    def select(self, parents: ArrayLike) -> None: ...

class SnapshotStep(Step):
    @property
    def is_cheap(self) -> bool: ...
    @property
    def snapshot_bytes(self) -> int: ...
    @property
    def common_prefix_bytes(self) -> int: ...
    def find_common_prefixes(
        self,
        max_count: int,
        max_states: int,
        max_length: int,
        max_microseconds: int | None = None,
        cancellation: CancellationToken | None = None,
    ) -> bool: ...

def cpu_step(
    model: OnnxModel, time_axes: Sequence[int | None], block_size: int | None = None
) -> SnapshotStep: ...

class DeviceModel:
    def __init__(
        self, model: OnnxModel, time_axes: Sequence[int | None], block_size: int | None = None
    ) -> None: ...
    def sampler_bytes(self, options: SamplingOptions, excludes: bool = False) -> bytes: ...

class DeviceStep(Step):
    def __init__(self, model: DeviceModel) -> None: ...

class PythonStep(Step):
    def __init__(self, step: AnyStep) -> None: ...

class WorkerPool:
    def __init__(self, vocab_size: int, cache_bytes: int, idle_ms: int = 10_000) -> None: ...
    def clear(self) -> None: ...
    @property
    def cache_bytes(self) -> list[int]: ...

class SamplingOptions:
    def __init__(
        self,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
    ) -> None: ...

class ExcludedTokens:
    def __init__(self, ids: Sequence[int], vocab_size: int) -> None: ...

class LogitsProcessor: ...

class RepetitionPenalty(LogitsProcessor):
    def __init__(self, penalty: float) -> None: ...

class PythonProcessor(LogitsProcessor):
    def __init__(
        self, function: Callable[[NDArray[np.int64], NDArray[np.float32]], ArrayLike]
    ) -> None: ...

class RowFilter:
    def __init__(self, transitions: ArrayLike, accepting: ArrayLike, vocab_size: int) -> None: ...

class CancellationToken:
    def __init__(self) -> None: ...
    def cancel(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...

def coin(seed: int, row: int, position: int) -> float: ...
def choose(
    logits: ArrayLike,
    coin: float,
    options: SamplingOptions = ...,
    excluded: ExcludedTokens | None = None,
) -> int: ...

class Request:
    def __init__(
        self,
        *,
        prompts: ArrayLike,
        offsets: ArrayLike,
        max_length: int,
        options: SamplingOptions = ...,
        excluded: ExcludedTokens | None = None,
        processors: Sequence[LogitsProcessor] = ...,
        row_filter: RowFilter | None = None,
        batch_size: int,
        strategy: str = "auto",
        drawn_log_probs: bool = False,
    ) -> None: ...
    @property
    def needs_host(self) -> bool: ...

class Strings:
    @property
    def ids(self) -> NDArray[np.int32]: ...
    @property
    def offsets(self) -> NDArray[np.int64]: ...
    @property
    def log_probs(self) -> NDArray[np.float64]: ...
    @property
    def stopped(self) -> NDArray[np.uint8]: ...
    @property
    def rows(self) -> NDArray[np.int64]: ...
    def texts(self, code_points: NDArray[np.uint32]) -> list[str]: ...

class Texts:
    @property
    def texts(self) -> list[str]: ...
    @property
    def rows(self) -> NDArray[np.int64]: ...

def distributions(
    pool: WorkerPool,
    new_step: Callable[[], AnyStep],
    threads: int,
    request: Request,
    cancellation: CancellationToken | None = None,
) -> NDArray[np.float64]: ...
def token_log_probs(
    pool: WorkerPool,
    new_step: Callable[[], AnyStep],
    threads: int,
    request: Request,
    cancellation: CancellationToken | None = None,
) -> NDArray[np.float64]: ...
def decode(
    pool: WorkerPool,
    new_step: Callable[[], AnyStep],
    threads: int,
    request: Request,
    rows: int,
    first_row: int = 0,
    seed: int = 0,
    log_probs: bool = True,
    cancellation: CancellationToken | None = None,
) -> Strings: ...
def decode_texts(
    pool: WorkerPool,
    new_step: Callable[[], AnyStep],
    threads: int,
    request: Request,
    rows: int,
    first_row: int,
    seed: int,
    code_points: NDArray[np.uint32],
    cancellation: CancellationToken | None = None,
) -> Texts: ...
def decode_on_device(
    model: DeviceModel,
    request: Request,
    rows: int,
    first_row: int = 0,
    seed: int = 0,
    log_probs: bool = True,
    cancellation: CancellationToken | None = None,
) -> Strings: ...
def texts(ids: ArrayLike, offsets: ArrayLike, code_points: NDArray[np.uint32]) -> list[str]: ...
