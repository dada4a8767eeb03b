"""What a server does to a sampler: many threads at once, from the first moment on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import first_load
import pytest

FOLDER = Path(__file__).parent
ARTIFACT = FOLDER.parent / "artifacts" / "schema-2" / "transformer"


def test_sixteen_threads_make_the_first_load_together():
    assert first_load.failures(16, threads=16, jobs=2) == []


@pytest.mark.resident_memory
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_callers_hold_little_more_memory_than_one():
    command = [sys.executable, str(FOLDER / "memory.py"), "--artifact", str(ARTIFACT)]
    command += ["--threads", "24", "--strings", "2000"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
