"""`mm-train`: a model from a text file, into a run folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from makemore.errors import OptionError

from makemore_export.commands.output_option import output_option
from makemore_export.commands.text_options import text_options
from makemore_export.commands.training_command import GivenText, TrainingCommand
from makemore_export.data.reading import Reading
from makemore_export.runs.target_lock import locked

if TYPE_CHECKING:
    from makemore_export.runs.checkpoint import Checkpoint


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """The `--json` result: where the best weights are, and their losses by split."""

    checkpoint: str
    model: str
    steps: int
    losses: dict[str, float | None]


def _first_check(values: dict[str, Any]) -> GivenText:
    if values["find_lr"] and values["resume"]:
        raise OptionError("--find-lr is for new weights: it does not go with --resume")
    for name in ("resume", "find_lr", "tensorboard"):
        if values["sweep"] and values[name]:
            raise OptionError(
                f"--sweep goes on with what is in its folder; not with --{name.replace('_', '-')}"
            )
    if values["trials"] is not None and len(values["sweep"]) < 2:
        raise OptionError(f"--trials {values['trials']} is for a search: several --sweep")
    given = GivenText(values["text"])
    if not values["resume"]:  # else the run tells how it is read
        given.read(Reading().with_options(values))
    return given


@click.command(cls=TrainingCommand, first_check=_first_check)
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
@click.pass_obj
def main(
    given: GivenText,
    /,
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
    from makemore_export.commands.find_lr import find_learning_rate
    from makemore_export.commands.run_training import find_device
    from makemore_export.commands.search import TRIALS, run_search
    from makemore_export.commands.sweep import run_sweep
    from makemore_export.training import distributed

    options["device"] = find_device(options["device"])
    if sweep:
        contents = given.read(Reading().with_options(options))
        if len(sweep) == 1:
            run_sweep(contents, text, out, options, sweep[0], as_json=as_json)
        else:
            run_search(contents, text, out, options, sweep, trials or TRIALS, as_json=as_json)
        return
    if find_lr:
        find_learning_rate(
            given.read(Reading().with_options(options)), out, options, as_json=as_json
        )
        return
    with distributed.joined(options["device"]):
        first = distributed.rank() == 0
        with locked(out) if first else nullcontext():
            again = shlex.join(["mm-train", *([str(text)] if text else []), "-o", str(out)])
            best = _trained(
                given,
                out,
                options,
                resume=resume,
                again=f"{again} --resume",
                tensorboard=tensorboard,
                as_json=as_json,
            )
        if first:
            result = Trained(
                checkpoint=str(out / "best.safetensors"),
                model=best.run.model,
                steps=best.progress.step,
                losses=best.progress.losses,
            )
            click.echo(msgspec.json.encode(result) if as_json else f"mm-export {out} -o ARTIFACT")


def _trained(
    given: GivenText,
    out: Path,
    options: Mapping[str, Any],
    *,
    resume: bool,
    again: str,
    tensorboard: bool,
    as_json: bool,
) -> Checkpoint:
    """The best checkpoint of a new run, or of the one in the folder; the caller has locked it."""
    from makemore_export.commands.run_training import run_training
    from makemore_export.runs.checkpoint import RunFolder
    from makemore_export.training import distributed

    folder = RunFolder(out)
    start = distributed.shared(folder.latest)
    if start and not resume:
        raise OptionError(f"{out}: holds a run already; go on with --resume, or name a new folder")
    if resume and not start:
        raise OptionError(f"{out}: holds no run to resume")
    old = start.run if start else None
    text = given.read((old.reading if old else Reading()).with_options(options))
    return run_training(
        text,
        folder,
        start,
        options,
        old=old,
        again=again,
        tensorboard=tensorboard,
        as_json=as_json,
    )


if __name__ == "__main__":
    main()
