"""What `mm-bench` runs in a fresh process, for what only a first time shows."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import msgspec

from makemore.loading import Device, load

if sys.platform != "win32":
    import resource


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What a process says of its start.

    first_name: when it had a string, in seconds of `time.perf_counter`, a clock of the system.
    peaks_mib: most memory resident until before the load, after it, and after sampling; empty where
    the system does not tell.
    """

    first_load_ms: float
    later_load_ms: float
    first_name: float
    peaks_mib: list[float]


def start(
    path: str, device: Device, *, threads: int, n: int, batch_size: int, trust: bool = False
) -> Start:
    """Loads, makes one string, makes n, loads again."""
    peaks = [peak_mib()]
    began = perf_counter()
    sampler = load(path, device=device, threads=threads, trust=trust)
    loaded = perf_counter()
    peaks.append(peak_mib())
    sampler.sample(1)
    first_name = perf_counter()
    sampler.sample(n, batch_size=batch_size)
    peaks.append(peak_mib())
    began_again = perf_counter()
    load(path, device=device, threads=threads, trust=trust)
    loaded_again = perf_counter()
    return Start(
        first_load_ms=1e3 * (loaded - began),
        later_load_ms=1e3 * (loaded_again - began_again),
        first_name=first_name,
        peaks_mib=[peak for peak in peaks if peak is not None],
    )


def peak_mib() -> float | None:
    """Most MiB resident in this process so far; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would give the peak of the parent process where that was more.
        fields = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024 if "VmHWM" in fields else None
    if sys.platform == "win32":
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def main(path: str, device: Device, threads: str, n: str, batch_size: str, trust: str) -> None:
    """Writes the `Start` as JSON to stdout."""
    numbers = {"threads": int(threads), "n": int(n), "batch_size": int(batch_size)}
    found = start(path, device, **numbers, trust=bool(trust))
    sys.stdout.buffer.write(msgspec.json.encode(found))
