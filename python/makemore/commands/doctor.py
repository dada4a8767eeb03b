"""What this machine offers, and whether makemore works on it: `mm-inspect` with no argument."""

from __future__ import annotations

import math
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from makemore import _core
from makemore.errors import MakemoreError, OrtError
from makemore.loading import Device, load
from makemore.runtime.cores import usable_cores
from makemore.runtime.cuda_libraries import require_cuda
from makemore.runtime.onnxruntime_library import find_library, installed_packages, open_library
from makemore.sampler import Sampler

SELF_TEST = Path(__file__).with_name("self_test.onnx")
"""An artifact with a cache, written by `tests/tiny_artifacts.py`. Its logits are sums of a few
multiples of 1/64, so that every engine gives the same bits.
"""

COIN = (0xE169C58D6627E8D5 >> 11) * 2.0**-53
"""Of seed, row and position 0: Random123's first known answer for philox4x32 of 10 rounds."""

LOG_PROB = -130.66695507130163
"""Of all golden samples of the self-test together, in natural logarithms."""

BATCH_SIZES = (1, 7, 64)

FEATURES = {
    "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8",
    "asimd", "asimdhp", "asimddp", "sve", "sve2", "i8mm", "bf16",
}  # fmt: skip
"""Extensions of a processor that linear algebra is faster with, as Linux names them."""


def describe_environment() -> dict[str, Any]:
    """Versions, the ONNX Runtime that artifacts would run on, and the machine."""
    report: dict[str, Any] = {
        "makemore": _version("makemore"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "machine": f"{platform.system()} {platform.machine()}, {_cpu_name()}",
        "cpu features": _cpu_features(),
        "vector code for": _core.kernels(),
        "cores": usable_cores(),
        "onnxruntime packages": installed_packages(),
    }
    try:
        path = find_library()
        library = open_library()
    except OrtError as error:
        report["onnxruntime error"] = str(error)
    else:
        report["onnxruntime"] = library.version
        report["onnxruntime library"] = str(path)
        report["onnxruntime providers"] = library.providers()
        report["cuda"] = _cuda(library)
    packages = ("numpy", "torch", "onnx", "onnxscript", "safetensors")
    return report | {package: _version(package) for package in packages}


def examine() -> dict[str, Any]:
    """The environment, what became of the self-test, its speed, and whether all of it `works`."""
    report = describe_environment()
    if "onnxruntime error" in report:
        return report | {"works": False}
    tests = {"self-test": self_test()}
    if report["cuda"] == "available":
        tests["self-test on cuda"] = self_test("cuda")
    works = all(found == "passed" for test in tests.values() for found in test.values())
    report |= tests
    if works:
        report["strings/s of the self-test"] = speeds()
    return report | {"works": works}


def self_test(device: Device = "cpu") -> dict[str, str]:
    """What was tested, each "passed" or "failed: " and why.

    A model runs as a user's would: loaded, scored and sampled at several batch sizes, on one thread
    and on several.
    """
    found = {"coins": _coins()}
    try:
        sampler = load(SELF_TEST, device=device, threads=1)
        found["scores"] = _scores(sampler)
        found["samples"] = _samples(sampler)
        found["threads"] = _threads(sampler, load(SELF_TEST, device=device, threads=4))
    except MakemoreError as error:
        found["model"] = f"failed: {error}"
    return found


def speeds(seconds: float = 0.2) -> dict[str, int]:
    """Strings a second of the self-test's model, on one thread and on all cores.

    It is so small that the decode loop takes most of the time.
    """
    found = {}
    for name, threads in (("one thread", 1), ("all cores", usable_cores())):
        sampler = load(SELF_TEST, threads=threads)
        made = 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            made += len(sampler.sample(2048 * threads, seed=0, first_row=made, min_length=0))
        found[name] = round(made / (time.perf_counter() - began))
    return found


def _coins() -> str:
    coin = _core.coin(0, 0, 0)
    return "passed" if coin == COIN else f"failed: coin(0, 0, 0) is {coin}, not {COIN}"


def _scores(sampler: Sampler) -> str:
    golden = sampler.artifact.golden
    for batch_size in BATCH_SIZES:
        log_prob = float(sampler.score(golden.strings, batch_size=batch_size).sum())
        if not math.isclose(log_prob, LOG_PROB, rel_tol=1e-9):
            return f"failed: log-probability {log_prob}, not {LOG_PROB}, at batch size {batch_size}"
    return "passed"


def _samples(sampler: Sampler) -> str:
    golden = sampler.artifact.golden
    for batch_size in BATCH_SIZES:
        made = sampler.sample(
            len(golden.strings), seed=golden.seed, min_length=0, batch_size=batch_size
        )
        if tuple(made) != golden.strings:
            return f"failed: {made}, not {list(golden.strings)}, at batch size {batch_size}"
    return "passed"


def _threads(one: Sampler, several: Sampler) -> str:
    if one.sample(4096, seed=1) == several.sample(4096, seed=1):
        return "passed"
    return f"failed: other strings on {several.threads} threads than on one"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cuda(library: _core.Library) -> str:
    try:
        require_cuda(library)
    except OrtError as error:
        return str(error)
    return "available"


def _cpu_name() -> str:
    return _cpuinfo("model name") or platform.processor() or "unknown processor"


def _cpu_features() -> list[str]:
    """Of `FEATURES`, with neon called so; where the system is not Linux, what NumPy tells."""
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    if flags:
        return ["neon" if flag == "asimd" else flag for flag in flags if flag in FEATURES]
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return [*simd.get("baseline", []), *simd.get("found", [])]


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
