"""Kills `mm-export`, or runs two at once: the target is always the whole artifact of one export."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import shutil
import signal
import threading
import time
from io import StringIO
from pathlib import Path

import forked
import kill_train

MODELS = ("bigram", "neural-bigram")
_SECONDS = 0.8  # that an export takes


class ExportProver:
    """Exports two runs, in turn or at once, into `work/target/out`."""

    def __init__(self, work: Path, rng: random.Random) -> None:
        self.work, self.rng = work, rng
        self.export = forked.command("mm-export")
        self.out = work / "target" / "out"
        self.out.parent.mkdir()
        self.failures: list[str] = []
        text = kill_train.write_text(work)
        self.runs = [self._trained(text, model) for model in MODELS]
        self._warm_up()
        self.whole = [self._exported(run) for run in self.runs]

    def _warm_up(self) -> None:
        """One export in this process: forks of it need half a second then, not two."""
        with contextlib.redirect_stdout(StringIO()), contextlib.redirect_stderr(StringIO()):
            arguments = [str(self.runs[0]), "-o", str(self.work / "warm")]
            self.export.main(arguments, standalone_mode=False)

    def _trained(self, text: Path, model: str) -> Path:
        run = self.work / model
        arguments = [str(text), "-o", str(run), "--model", model]
        arguments += ["--max-steps", "20"] if model == "neural-bigram" else []
        process = forked.Process(forked.command("mm-train"), arguments, self.work)
        if process.wait() != 0:
            raise RuntimeError(process.message())
        return run

    def _exported(self, run: Path) -> dict[str, bytes]:
        events = self.work / "events"
        process = self._start(run, events=events)
        if process.wait() != 0:
            raise RuntimeError(process.message())
        self.events = forked.read_events(events)
        return self.files()

    def _start(
        self, run: Path, *, kill_at: int | None = None, events: Path | None = None
    ) -> forked.Process:
        arguments = [str(run), "-o", str(self.out), "--samples", "0"]
        return forked.Process(self.export, arguments, self.work, kill_at=kill_at, events=events)

    def files(self) -> dict[str, bytes]:
        """The files of the target; none where there is no target.

        They are the same bytes each time, but for the TorchScript file, which names who called its
        exporter: of that the checksum is looked at, and it is then left out.
        """
        if not self.out.exists():
            return {}
        files = {path.name: path.read_bytes() for path in self.out.iterdir()}
        try:
            report = json.loads(files["report.json"])
            for name, digest in report["sha256"].items():
                if hashlib.sha256(files[name]).hexdigest() != digest:
                    self.failures.append(f"mixed: {name} is not the one of the report")
            del report["sha256"]["model.ts"], files["model.ts"]
        except KeyError as error:
            self.failures.append(f"in part: there is no {error}")
        else:
            files["report.json"] = json.dumps(report).encode()
        return files

    def kill(self, *, in_swap: bool) -> bool:
        """One export that is killed, over an artifact or none; False if it got to its end."""
        if self.rng.random() < 0.2:
            shutil.rmtree(self.out, ignore_errors=True)
        before = self.files()
        run = self.rng.randrange(2)
        if in_swap:
            first = next(i for i, event in enumerate(self.events) if event.renames)
            at = self.rng.randrange(first, len(self.events) + 1)
            process = self._start(self.runs[run], kill_at=at)
            code = process.wait()
        else:
            process = self._start(self.runs[run])
            time.sleep(self.rng.uniform(0, _SECONDS))
            code = process.kill()
        after, message = self.files(), process.message()
        if code not in (0, -signal.SIGKILL):
            self.failures.append(f"mm-export ended with {code}: {message[-300:]}")
        if after not in (before, self.whole[run]):
            self.failures.append(f"killed, it left {sorted(after)}, which is no whole artifact")
        if code == 0:
            self._check_nothing_left(after, run)
        return code == -signal.SIGKILL

    def _check_nothing_left(self, after: dict[str, bytes], run: int) -> None:
        """An export that ends well leaves nothing of those that were killed before."""
        if after != self.whole[run]:
            self.failures.append(f"exit code 0, but the target holds {sorted(after)}")
        left = {path.name for path in self.out.parent.iterdir()} - {"out"}
        # An empty file to lock is no rest of an export.
        left = {name for name in left if (self.out.parent / name).is_dir()}
        if left:
            self.failures.append(f"left beside the target: {sorted(left)}")

    def finish(self) -> None:
        """The next export, after a kill, works."""
        process = self._start(self.runs[0])
        if (code := process.wait()) != 0:
            self.failures.append(f"after a kill mm-export ended with {code}: {process.message()}")
        self._check_nothing_left(self.files(), 0)

    def pair(self) -> tuple[int, ...]:
        """Two exports into one target at once; their exit codes."""
        if self.rng.random() < 0.5:
            shutil.rmtree(self.out, ignore_errors=True)
        before = self.files()
        replaced = _Watch(self.out)
        processes = [self._start(run) for run in self.runs]
        codes = tuple(process.wait() for process in processes)
        times = replaced.stop()
        after, messages = self.files(), [process.message() for process in processes]
        done = [files for files, code in zip(self.whole, codes, strict=True) if code == 0]
        if after not in (done or [before]) or not after:
            self.failures.append(f"exit codes {codes} and a target with {sorted(after)}")
        if codes.count(0) > times:
            self.failures.append(f"exit codes {codes}, but the target was replaced {times} times")
        for code, message in zip(codes, messages, strict=True):
            clear = code == 0 or (code == 2 and "Error: " in message and "Trace" not in message)
            if not clear:
                self.failures.append(f"exit code {code}: {message[-300:]}")
        return codes


class _Watch:
    """Counts how often a folder becomes another one."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._times, self._stopped = folder, 0, False
        self._last = self._inode()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _inode(self) -> int:
        try:
            return self._folder.stat().st_ino
        except FileNotFoundError:
            return 0

    def _look(self) -> None:
        now = self._inode()
        if now not in (0, self._last):
            self._times += 1
            self._last = now

    def _run(self) -> None:
        while not self._stopped:
            self._look()
            time.sleep(0.0005)

    def stop(self) -> int:
        self._stopped = True
        self._thread.join()
        self._look()
        return self._times
