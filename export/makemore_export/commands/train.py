"""`mm-train`: a model from a text file, into a run folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from makemore.commands.command import Command
from makemore.errors import OptionError

from makemore_export.commands.model_options import model_options
from makemore_export.commands.output_option import output_option
from makemore_export.commands.run_planning import check_options, given_content, plan_run
from makemore_export.commands.text_options import SPLIT, text_options
from makemore_export.data.reading import Reading
from makemore_export.data.splits import parse_split
from makemore_export.data.text import Content, text_of
from makemore_export.runs.header import BEST, stored_run
from makemore_export.runs.missing_package import missing_package_named
from makemore_export.runs.target_lock import locked
from makemore_export.training import distributed
from makemore_export.training.sweep import Sweep, parse_sweeps

if TYPE_CHECKING:
    from makemore_export.runs.checkpoint import Checkpoint

_PURPOSE = "to train"


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result: where the best weights are, and their losses by split."""

    checkpoint: str
    model: str
    steps: int
    losses: dict[str, float | None]


@click.command(cls=Command)
@click.argument("text", required=False, type=click.Path(path_type=Path))
@output_option("Run folder.")
@text_options
@click.option("--resume", is_flag=True, help="Go on with the run in the folder, with its options.")
@click.option(
    "--find-lr", is_flag=True, help="Try all learning rates in a short sweep, and suggest one."
)
@click.option(
    "--sweep",
    metavar="OPTION=VALUES",
    multiple=True,
    help="A run for each value, of 0.1,1,10 or of the range 0.001..10, to compare train and dev. "
    "Given for several options: a search for the values that are best together.",
)
@click.option(
    "--trials",
    type=click.IntRange(1, 10_000),
    help="Combinations of values that a search tries.  [default: 20]",
)
@click.option("--tensorboard", is_flag=True, help="Write the losses for TensorBoard, too.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="The result as one JSON object on stdout, progress as lines of JSON on stderr.",
)
@model_options
def main(
    text: Path | None,
    out: Path,
    *,
    resume: bool,
    find_lr: bool,
    sweep: tuple[str, ...],
    trials: int | None,
    tensorboard: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Trains a model on TEXT, one thing per line; without TEXT, on the US names of 2018.

    The run folder holds last.safetensors (to resume), best.safetensors (for mm-export) and
    log.jsonl. Ctrl-C saves the last checkpoint and exits with 130; a bad input exits with 2.

    On several CPUs or GPUs: torchrun --nproc-per-node 2 -m makemore_export.commands.train ...
    """
    _check_flags(sweep, trials, resume=resume, find_lr=find_lr, tensorboard=tensorboard)
    if options["refit"] and (sweep or find_lr):
        raise OptionError("--refit is for the run that is chosen: not with --sweep or --find-lr")
    if out.exists() and not out.is_dir():
        raise OptionError(f"{out}: is a file; a run is a folder")
    sweeps = parse_sweeps(sweep, options)
    if not resume:
        check_options(options, sweeps)
    content = given_content(text)
    if sweeps:
        _compare(content, text, out, options, sweeps, trials, as_json=as_json)
    elif find_lr:
        _find_lr(content, out, options, as_json=as_json)
    else:
        again = shlex.join(["mm-train", *([str(text)] if text else []), "-o", str(out), "--resume"])
        with distributed.joined(options["device"]):
            first = distributed.rank() == 0
            with locked(out) if first else nullcontext():
                best = _train(
                    content,
                    out,
                    options,
                    resume=resume,
                    again=again,
                    tensorboard=tensorboard,
                    as_json=as_json,
                )
            if first:
                _show(best, out, as_json=as_json)


def _check_flags(
    sweep: Sequence[str], trials: int | None, *, resume: bool, find_lr: bool, tensorboard: bool
) -> None:
    """`OptionError` for those that do not go together."""
    if find_lr and resume:
        raise OptionError("--find-lr is for new weights: it does not go with --resume")
    if find_lr and tensorboard:
        raise OptionError("--find-lr has no losses of a run to write: not with --tensorboard")
    for name, given in (("resume", resume), ("find-lr", find_lr), ("tensorboard", tensorboard)):
        if sweep and given:
            raise OptionError(f"--sweep goes on with what is in its folder; not with --{name}")
    if trials is not None and len(sweep) < 2:
        raise OptionError(f"--trials {trials} is for a search: several --sweep")
    for name, alone in (("sweep", bool(sweep)), ("find-lr", find_lr)):
        if alone:
            distributed.refuse(f"--{name}")


def _compare(
    content: Content,
    path: Path | None,
    out: Path,
    options: Mapping[str, Any],
    sweeps: Sequence[Sweep],
    trials: int | None,
    *,
    as_json: bool,
) -> None:
    """A sweep over the values of one option, or a search over those of several."""
    _, dev, _ = options["split"] or parse_split(SPLIT)
    if not dev:
        raise OptionError("--sweep compares losses of dev, of which --split leaves none")
    if stored_run(out):
        raise OptionError(f"{out}: holds a run; --sweep takes a folder of its own")
    text = text_of(content, Reading().with_options(options))
    with missing_package_named(_PURPOSE):
        from makemore_export.commands.search import TRIALS, run_search
        from makemore_export.commands.sweep import run_sweep

    if len(sweeps) == 1:
        run_sweep(text, path, out, options, sweeps[0], as_json=as_json)
    else:
        run_search(text, path, out, options, sweeps, trials or TRIALS, as_json=as_json)


def _find_lr(content: Content, out: Path, options: Mapping[str, Any], *, as_json: bool) -> None:
    text = text_of(content, Reading().with_options(options))
    planned = plan_run(text, out, None, options, None)
    if planned.run.recipe is None:
        model = planned.run.model
        raise OptionError(f"--find-lr does not apply to model {model}: it has no one rate")
    with missing_package_named(_PURPOSE):
        from makemore_export.commands.find_lr import find_learning_rate

    find_learning_rate(planned, out, options, as_json=as_json)


def _train(
    content: Content,
    out: Path,
    options: Mapping[str, Any],
    *,
    resume: bool,
    again: str,
    tensorboard: bool,
    as_json: bool,
) -> Checkpoint:
    """The best checkpoint of a new run, or of the one in the folder; the caller has locked it."""
    old = distributed.shared(partial(stored_run, out))
    if old and not resume:
        raise OptionError(f"{out}: holds a run already; go on with --resume, or name a new folder")
    if resume and not old:
        raise OptionError(f"{out}: holds no run to resume")
    text = text_of(content, (old.reading if old else Reading()).with_options(options))
    planned = plan_run(text, out, old, options, old)
    with missing_package_named(_PURPOSE):
        from makemore_export.commands.run_training import run_training
        from makemore_export.runs.checkpoint import RunFolder

    return run_training(
        planned, RunFolder(out), options, again=again, tensorboard=tensorboard, as_json=as_json
    )


def _show(best: Checkpoint, out: Path, *, as_json: bool) -> None:
    result = Trained(
        checkpoint=str(out / BEST),
        model=best.run.model,
        steps=best.progress.step,
        losses=best.progress.losses,
    )
    click.echo(msgspec.json.encode(result) if as_json else f"mm-export {out} -o ARTIFACT")


if __name__ == "__main__":
    main()
