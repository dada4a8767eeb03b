"""Data parallel: the processes that torchrun starts train one model, each on its share of a batch.

Alone, a process is the first of one, and nothing here imports PyTorch.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from makemore.errors import OptionError

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")
_joined = False


@contextmanager
def joined(name: str) -> Iterator[None]:
    """Inside, the processes of torchrun are a group; CUDA ones take a GPU each.

    name: of the device, or "auto"; `OptionError` for one that several processes cannot use.
    """
    global _joined  # noqa: PLW0603
    if _started() == 1:
        yield
        return
    import torch

    from makemore_export.training.devices import find_device

    device = find_device(name) if name == "auto" else name
    if device == "cuda":
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= gpus:
            raise OptionError(
                f"process {local} of this machine has no GPU of its own: it has {gpus}"
            )
        torch.cuda.set_device(local)
    elif device != "cpu":
        raise OptionError(f"device {device!r} cannot be shared by processes; cpu and cuda can")
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    _joined = True
    try:
        yield
    finally:
        _joined = False
        # DistributedDataParallel, a cycle, holds the group, whose threads may not outlive Python.
        gc.collect()
        torch.distributed.destroy_process_group()


def refuse(command: str) -> None:
    """`OptionError` where torchrun has started more than one process."""
    if _started() > 1:
        raise OptionError(f"{command} is for one process, not for {_started()} of torchrun")


def _started() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which process this is; the first, 0, is the one that evaluates, writes and prints."""
    if not _joined:
        return 0
    import torch

    return torch.distributed.get_rank()


def size() -> int:
    """How many processes train together."""
    if not _joined:
        return 1
    import torch

    return torch.distributed.get_world_size()


def shared(make: Callable[[], T]) -> T:
    """What `make` returns on the first process, which alone calls it, on every one."""
    if not _joined:
        return make()
    import torch

    box = [make() if rank() == 0 else None]
    torch.distributed.broadcast_object_list(box, device=torch.device("cpu"))
    return box[0]  # type: ignore[return-value]


def anywhere(flag: bool) -> bool:
    """Whether the flag is set on any process."""
    if not _joined:
        return flag
    import torch

    flags = torch.tensor(int(flag))
    torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX)
    return bool(flags)


def parallel(model: nn.Module) -> nn.Module:
    """The model, its gradients averaged over the processes."""
    if not _joined:
        return model
    from torch.nn.parallel import DistributedDataParallel

    return DistributedDataParallel(model)
