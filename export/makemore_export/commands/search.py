"""What `mm-train` does with several `--sweep`: a search for the values that are best together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from makemore.errors import MissingDependencyError, OptionError

from makemore_export.commands.run_training import interrupts
from makemore_export.commands.sweep import keep, run_value, show_files
from makemore_export.data.text import Text
from makemore_export.runs.target_lock import locked
from makemore_export.training.sweep import Sweep, SweepRun, best_of, search_table

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

TRIALS = 20
"""Combinations of values that are tried where nothing else is asked for."""

_JOURNAL = "search.journal"  # what optuna knows of the trials so far


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result: the values with the lowest dev loss, all runs, and the files."""

    options: list[str]
    best: str
    runs: list[SweepRun]
    files: list[str]


def run_search(
    contents: Text,
    path: Path | None,
    out: Path,
    options: Mapping[str, Any],
    sweeps: Sequence[Sweep],
    trials: int,
    *,
    as_json: bool,
) -> None:
    """Trains runs with `trials` combinations of values; the same call goes on after a stop.

    What to try next is chosen by the dev losses so far: the Tree-structured Parzen Estimator of
    Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (2011), section 4, as in optuna.
    path: of the text, to show the command that tests the best run. `MissingDependencyError` without
    optuna.
    """
    with locked(out), interrupts() as interrupted:
        out.mkdir(parents=True, exist_ok=True)
        study = _study(out, sweeps)

        def run(chosen: Mapping[str, str]) -> SweepRun:
            return run_value(contents, out, options, chosen, interrupted, as_json=as_json)

        _try(study, sweeps, trials, run)
    runs = [msgspec.convert(trial.user_attrs["run"], SweepRun) for trial in _finished(study)]
    lines = out / "search.jsonl"
    keep(lines, runs)
    best = best_of(runs)
    files = [str(lines), str(out / _JOURNAL)]
    if as_json:
        names = [sweep.option for sweep in sweeps]
        found = Searched(options=names, best=best.value, runs=runs, files=files)
        click.echo(msgspec.json.encode(found))
        return
    click.echo(search_table(runs))
    show_files(files, best, path)


def _study(out: Path, sweeps: Sequence[Sweep]) -> Study:
    """What is known of the search in `out`; `OptionError` if it was one of other values."""
    try:
        import optuna  # noqa: PLC0415
        from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415
    except ImportError:
        raise MissingDependencyError(
            "several --sweep are searched by optuna; pip install 'makemore[search]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(out / _JOURNAL))),
        study_name="search",
        load_if_exists=True,
    )
    # One that goes on must not draw again what it began with.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))
    wanted = {sweep.option: list(sweep.values) for sweep in sweeps}
    known = study.user_attrs.setdefault("sweeps", wanted)
    if known != wanted:
        raise OptionError(f"{out}: holds a search of other values: {known}")
    study.set_user_attr("sweeps", wanted)
    return study


def _try(
    study: Study,
    sweeps: Sequence[Sweep],
    trials: int,
    run: Callable[[Mapping[str, str]], SweepRun],
) -> None:
    """Runs trials until there are so many; one that was stopped comes first."""
    from optuna.trial import TrialState  # noqa: PLC0415

    for stopped in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        study.enqueue_trial(stopped.params)
        study.tell(stopped.number, state=TrialState.FAIL)
    while len(_finished(study)) < trials:
        trial = study.ask()
        # The places of the values, so that neighbours are known to be neighbours.
        places = {s.option: trial.suggest_int(s.option, 0, len(s.values) - 1) for s in sweeps}
        chosen = {sweep.option: sweep.values[places[sweep.option]] for sweep in sweeps}
        found = run(chosen)
        trial.set_user_attr("run", msgspec.to_builtins(found))
        study.tell(trial, math.inf if found.dev is None else found.dev)


def _finished(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState  # noqa: PLC0415

    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
