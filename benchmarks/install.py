"""What it costs to have makemore: size, install, import, load.

    tests/check_wheel.sh FOLDER newest && python benchmarks/install.py FOLDER/wheels/*.whl ARTIFACT

Each import and load is a process of its own, medians of 15; the install is into a fresh environment
from pip's cache, once, with onnxruntime, numpy and what else the runtime needs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

ROUNDS = 15
IMPORT = """
import time, numpy
began = time.perf_counter()
import makemore
print(time.perf_counter() - began)
"""
LOAD = """
import sys, time, makemore
began = time.perf_counter()
makemore.load(sys.argv[1])
print(time.perf_counter() - began)
"""
SECOND_LOAD = LOAD.replace("began =", "makemore.load(sys.argv[1])\nbegan =", 1)
FIRST = """
import sys, time
began = time.perf_counter()
import makemore
makemore.load(sys.argv[1]).sample(1)
print(time.perf_counter() - began)
"""


@click.command()
@click.argument("wheel", type=click.Path(path_type=Path, exists=True))
@click.argument("artifact", type=click.Path(path_type=Path, exists=True))
def main(wheel: Path, artifact: Path) -> None:
    """Measures WHEEL, and ARTIFACT loaded with it."""
    table = Table("what", "figure", box=box.MARKDOWN)
    table.add_row("wheel", f"{wheel.stat().st_size / 1024:,.0f} KiB")
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
        began = time.perf_counter()
        install = [python, "-m", "pip", "install", "-q", f"{wheel.resolve()}[cpu]"]
        subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
        table.add_row("install with onnxruntime", f"{time.perf_counter() - began:.1f} s")
        for name, code in (
            ("import makemore, after numpy", IMPORT),
            ("first load of an artifact, which opens ONNX Runtime", LOAD),
            ("second load", SECOND_LOAD),
            ("import, load and first string", FIRST),
        ):
            table.add_row(name, f"{milliseconds(python, code, artifact):.1f} ms")
    Console().print(table)


def milliseconds(python: Path, code: str, artifact: Path) -> float:
    """Median of what the code prints, in processes of its own, after one of warm-up."""
    seconds = [
        float(subprocess.check_output([python, "-c", code, artifact], text=True))
        for _ in range(ROUNDS + 1)
    ]
    return 1000 * statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
