"""Kills `mm-train` at random moments: no best checkpoint is ever lost, and the next run goes on."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import forked
import msgspec
from safetensors import SafetensorError, safe_open

OPTIONS = [
    "--model=neural-bigram",
    "--max-steps=2000",
    "--batch-size=8",
    "--threads=1",
    "--device=cpu",
]
_EARLY = 0.25  # seconds in which a run comes to its first checkpoint
_BETWEEN = 0.4  # and from there to the third or so
_EVENTS = 40  # file events of some three checkpoints


def write_text(folder: Path) -> Path:
    """A small text to train on."""
    parts = [a + b + c + d for a in "abcd" for b in "eiou" for c in ("", "n", "ra") for d in "xyz"]
    text = folder / "text.txt"
    text.write_text("".join(f"{line}\n" for line in parts))
    return text


def progress(checkpoint: Path) -> dict[str, Any]:
    """How far the run of a checkpoint has come; raises where it cannot be read as a whole."""
    with safe_open(checkpoint, "np") as file:
        for name in file.keys():  # noqa: SIM118
            file.get_tensor(name)
        return msgspec.json.decode(file.metadata()["makemore"])["progress"]


class TrainProver:
    """Trains in `work`, again and again the same run, which is killed and resumed to its end."""

    def __init__(self, work: Path, rng: random.Random) -> None:
        self.work, self.rng = work, rng
        self.train = forked.command("mm-train")
        self.text = write_text(work)
        self.failures: list[str] = []
        self.finished = 0
        self.expected = b""
        self._whole(work / "reference")
        self.folder = work / "run"

    def _whole(self, folder: Path) -> None:
        process = forked.Process(
            self.train, [str(self.text), "-o", str(folder), *OPTIONS], self.work
        )
        code = process.wait()
        if code != 0:
            raise RuntimeError(f"mm-train ended with {code}: {process.message()}")
        self.expected = self._weights(folder / "best.safetensors")

    def _weights(self, checkpoint: Path) -> bytes:
        with safe_open(checkpoint, "np") as file:
            names = sorted(file.keys())
            return b"".join(file.get_tensor(name).tobytes() for name in names)

    def kill(self, *, after_checkpoint: bool) -> bool:
        """One run that is killed, in a new folder or one killed before; False if it got to its end.

        after_checkpoint: once there is a best checkpoint, else before.
        """
        best, last = self.folder / "best.safetensors", self.folder / "last.safetensors"
        if not after_checkpoint:
            shutil.rmtree(self.folder, ignore_errors=True)
        resumes = best.exists() or last.exists()
        before = progress(best) if best.exists() else None
        arguments = [str(self.text), "-o", str(self.folder), *OPTIONS]
        at_event = after_checkpoint and self.rng.random() < 0.5
        process = forked.Process(
            self.train,
            [*arguments, "--resume"] if resumes else arguments,
            self.work,
            kill_at=self.rng.randrange(_EVENTS) if at_event and resumes else None,
        )
        if not at_event or not resumes:
            while after_checkpoint and not best.exists() and not process.ended():
                time.sleep(0.001)
            time.sleep(self.rng.uniform(0, _BETWEEN if after_checkpoint else _EARLY))
            code = process.kill()
        else:
            code = process.wait()
        self._check(code, process.message(), before)
        return code == -signal.SIGKILL

    def _check(self, code: int, message: str, before: dict[str, Any] | None) -> None:
        best = self.folder / "best.safetensors"
        if code not in (0, -signal.SIGKILL):
            self.failures.append(f"mm-train ended with {code}: {message[-300:]}")
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        try:
            now = progress(best) if best.exists() else None
        except (SafetensorError, KeyError, ValueError) as error:
            self.failures.append(f"the best checkpoint cannot be read: {error}")
            return
        if before and (now is None or now["finished"] < before["finished"]):
            self.failures.append(f"the best checkpoint is lost: of {before}, {now} is left")
        if code == 0:
            self.finished += 1
            if self._weights(best) != self.expected:
                self.failures.append("a run that was killed ended otherwise than one that was not")
            shutil.rmtree(self.folder)
