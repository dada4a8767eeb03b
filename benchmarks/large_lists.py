"""Training on ten million lines: memory, the time of each phase, and tokens a second.

    python benchmarks/large_lists.py ARTIFACT --folder /tmp/large     # about 15 minutes of a core

The lines are sampled from ARTIFACT, into the folder, once. Then
1. each phase of a training is timed, with the memory that the process has taken at most by then;
2. steps of training take turns on tokens in a mapped file and in memory;
3. `mm-train` runs to its end, and again with Ctrl-C on the way: its weights must be the same after
   `--resume`; with `--processes 2` under torchrun, too.

Times are those of the processor (user and system), of one thread, for other work may run beside.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import makemore
import torch
from makemore.fingerprints import Fingerprints
from makemore_export.data import scratch
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.text import read_text
from makemore_export.evaluation.likelihood import evaluated, mean_nll
from makemore_export.evaluation.novelty import compare
from makemore_export.models.ngram import Ngram, NgramConfig
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.training.optimizer_step import OptimizerStep
from makemore_export.training.plan import plan
from makemore_export.training.presets import PRESETS
from makemore_export.training.start import initial_model

_STEPS = 400  # of mm-train
_OPTIONS = dict(PRESETS["fast"]["parts"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("artifact")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("-n", type=int, default=10_000_000, help="lines")
    parser.add_argument("--steps", type=int, default=100, help="of a turn")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--processes", type=int, default=1, help="of torchrun")
    options = parser.parse_args()
    print(f"start of Python and PyTorch: {time.process_time():.1f} s")
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    text = options.folder / f"{options.n}.txt"
    if not text.exists():
        make_lines(options.artifact, options.n, text)
    phases(text)
    turns(text, options.steps, options.turns)
    whole_runs(text, options.folder, options.processes)


def make_lines(artifact: str, n: int, path: Path) -> None:
    names = makemore.load(artifact).stream(n, seed=1)
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        while some := [*islice(names, 100_000)]:
            file.writelines(f"{name}\n" for name in some)
    partial.rename(path)


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<38} {time.process_time() - began:7.1f} s   {peak:6.0f} MiB", flush=True)


def planned(text: Any) -> Any:
    options = {"percents": (80, 10, 10), "keep_duplicates": True, "seed": 1}
    return plan(text, model="lstm", options=_OPTIONS["lstm"], **options)


def phases(path: Path) -> None:
    """Each phase of a training of the preset fast, with 100 steps, and of an export."""
    with timed("read the text, find repeated lines"):
        text = read_text(path)
    with timed("split, find characters and lengths"):
        run, lines = planned(text)
    with timed("encode"):
        splits = {name: EncodedStrings(each, run.vocabulary) for name, each in lines.items()}
    model = initial_model(run)
    with timed("first epoch's batches"):
        optimizer = OptimizerStep(model, run, splits["train"])
    with timed("100 steps of the LSTM"):
        for step in range(1, 101):
            optimizer.step(step, 1e-3)
    with timed("last evaluation of the LSTM"):
        for strings in splits.values():
            mean_nll(model, evaluated(strings))
    ngram = Ngram(NgramConfig(**_OPTIONS["ngram"]), len(run.vocabulary))
    with timed("count the n-grams"):
        ngram.fit(splits["train"], splits["dev"])
    with timed("last evaluation of the n-gram"):
        for strings in splits.values():
            mean_nll(ngram, evaluated(strings))
    with timed("novelty of 1,000 samples"):
        compare([*islice(lines["train"], 1000)], lines)
    with timed("fingerprints"):
        print(f"{len(Fingerprints.of(text.lines)):,} different lines")


def turns(path: Path, steps: int, count: int) -> None:
    """Tokens a second of the same steps on tokens in a mapped file and in memory, by turns."""
    run, lines = planned(read_text(path))
    scratch.IN_MEMORY = 0
    mapped = EncodedStrings(lines["train"], run.vocabulary)
    scratch.IN_MEMORY = 1 << 62
    in_memory = EncodedStrings(lines["train"], run.vocabulary)
    optimizers = [OptimizerStep(initial_model(run), run, each) for each in (mapped, in_memory)]
    speeds: list[list[float]] = [[], []]
    for turn in range(count):
        for optimizer, found in zip(optimizers, speeds, strict=True):
            tokens, began = 0, time.process_time()
            for step in range(turn * steps + 1, (turn + 1) * steps + 1):
                optimizer.step(step, 1e-3)
                tokens += optimizer.tokens_of_step
            found.append(tokens / (time.process_time() - began))
    same = all(map(torch.equal, *(each.model.state_dict().values() for each in optimizers)))
    ratios = sorted(a / b for a, b in zip(*speeds, strict=True))
    print(
        f"tokens/s: mapped {median(speeds[0]):,.0f}, in memory {median(speeds[1]):,.0f}; ratio "
        f"{median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}); same weights: {same}"
    )


def whole_runs(text: Path, folder: Path, processes: int) -> None:
    """Runs of `mm-train`, one of them interrupted."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        launcher += [str(processes)]
    words = [*launcher, "-m", "makemore_export.commands.train", str(text), "--keep-duplicates"]
    words += ["--max-steps", str(_STEPS), "--threads", "1", "--model", "lstm", "-o"]
    whole, stopped = (folder / f"{name}-{processes}" for name in ("whole", "stopped"))
    began = time.monotonic()
    subprocess.run([*words, str(whole)], check=True)
    print(f"mm-train of {processes} processes: {time.monotonic() - began:.0f} s")
    with subprocess.Popen([*words, str(stopped)], start_new_session=True) as process:
        log = stopped / "log.jsonl"
        while not log.exists() or not any('step":250' in line for line in log.open()):
            time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    subprocess.run([*words, str(stopped), "--resume"], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    one, other = (RunFolder(each).latest() for each in (whole, stopped))
    assert one and other
    same = all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    result = {"peak MiB of a process": round(peak), "same weights after --resume": same}
    print(json.dumps(result))
    assert same


if __name__ == "__main__":
    main()
