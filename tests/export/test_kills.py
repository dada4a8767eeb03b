"""Training and export, killed at random moments and run two at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KILL = Path(__file__).parents[1] / "stress" / "kill.py"


@pytest.mark.skipif(sys.platform != "linux", reason="forks a process that has imported PyTorch")
def test_kills_lose_no_checkpoint_and_mix_no_artifact():
    command = [sys.executable, str(KILL), "--kills", "16", "--pairs", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
