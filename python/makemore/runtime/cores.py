"""The processor cores of this process."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process may use: by its affinity, and by the CPU quota of its cgroups.

    A quota of 1.5 cores counts as 2. `root`: where the files of the system are.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = min(_quotas(root), default=math.inf)
    return cores if quota >= cores else max(1, math.ceil(quota))


def _quotas(root: Path) -> list[float]:
    """Cores that each cgroup of this process, and each above it, allows; those without a limit are
    left out.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return []
    quotas = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":  # version 2
            mount, files = root / "sys/fs/cgroup", ["cpu.max"]
        elif "cpu" in controllers.split(","):
            mount, files = root / "sys/fs/cgroup/cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        # In a container the path may be that of the host, which is not here; then the mount counts.
        folder = mount / PurePosixPath(group).relative_to("/")
        for each in (folder, *folder.parents[: len(folder.parts) - len(mount.parts)]):
            quotas += _quota([each / name for name in files])
    return quotas


def _quota(files: list[Path]) -> list[float]:
    """Quota over period, of one file that holds both or two that hold one each; none: no limit."""
    try:
        quota, period = " ".join(file.read_text(encoding="utf-8") for file in files).split()
        cores = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max" for no limit
        return []
    return [cores] if cores > 0 else []  # -1 of version 1: no limit
