"""A small model learns from a large blend: what `best` knows, at the price of `fast`.

    mm-export names.txt -o best --preset best --no-refit
    python benchmarks/distillation.py names.txt best -o student
    mm-export student -o small --text names.txt

The student has the sizes of preset `fast`. Its network is trained on strings that the teacher
makes, and on those of train, to give each next token the probability that the teacher gives it
(Hinton et al., 2015, "Distilling the knowledge in a neural network"); its n-gram counts train. The
student's run folder is one that `mm-export` takes. Its text must be that of the teacher, which may
not have been refitted: a student of a model that knows dev has no honest dev loss.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import click
import makemore
import torch
from makemore.errors import OptionError
from makemore_export.commands.run_planning import planned
from makemore_export.configs import Recipe
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.length_bucketing import LengthBuckets
from makemore_export.data.text import read_text
from makemore_export.evaluation.likelihood import log_likelihoods, mean_nll
from makemore_export.models import Blend, CountingModel, Model
from makemore_export.models.blend import mixture_weights
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import Checkpoint, RunFolder, read_source
from makemore_export.runs.run import Progress, Run
from makemore_export.training.optimizer import rate
from makemore_export.training.start import initial_model
from torch import Tensor


@click.command()
@click.argument("text", type=click.Path(path_type=Path, exists=True))
@click.argument("teacher", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--n-hidden", default=160, show_default=True, help="Of the student.")
@click.option("--max-steps", default=4000, show_default=True, help="Of its training.")
@click.option("--learning-rate", default=0.012, show_default=True, help="At its peak.")
@click.option("--threads", default=1, show_default=True, help="Of PyTorch.")
def main(text: Path, teacher: Path, out: Path, threads: int, **options: float) -> None:
    """Trains a student of TEACHER, an artifact that `mm-export` made of TEXT."""
    torch.set_num_threads(threads)
    began = time.process_time()
    source = read_source(teacher.with_name(f"{teacher.name}.run"))
    if source.run.refit:
        raise OptionError(f"{teacher}: was refitted; train it with --no-refit")
    knows = source.run.new_model()
    knows.load_state_dict(source.weights)
    given = {"preset": "fast", "dropout": 0.0, "weight_decay": 0.01, **options}
    run, lines = planned(read_text(text), given, None)
    splits = {name: EncodedStrings(split, run.vocabulary) for name, split in lines.items()}
    student = cast("Blend", initial_model(run))
    network, ngram = student.components()
    recipe = student.config.parts[0].recipe
    count = max(0, recipe.max_steps * recipe.batch_size - len(splits["train"]))  # none comes twice
    made = makemore.load(teacher, threads=threads).sample(count, seed=run.seed, min_length=1)
    strings = splits["train"].joined(EncodedStrings(made, run.vocabulary))
    distil(knows.eval(), network, strings, recipe, run.seed)
    cast("CountingModel", ngram).fit(splits["train"], splits["dev"])
    on_dev = [log_likelihoods(each, splits["dev"]) for each in (network, ngram)]
    student.weights.copy_(mixture_weights(torch.stack(on_dev)))
    print(f"its network alone: dev {mean_nll(network, splits['dev']):.4f}")
    save(out, run, student, splits, recipe.max_steps, time.process_time() - began)


def distil(
    teacher: Model, student: Model, strings: EncodedStrings, recipe: Recipe, seed: int
) -> None:
    """Trains the student, which ends with averaged weights, to predict what the teacher does."""
    weights = [*student.parameters()]
    decayed = [weight for weight in weights if weight.dim() > 1]
    free = [weight for weight in weights if weight.dim() <= 1]
    groups = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
    decay = recipe.weight_decay
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=decay, fused=True)
    average = [weight.detach().clone() for weight in weights]
    buckets = LengthBuckets(strings.lengths.numpy() + 1, recipe.batch_size, seed)
    mean_tokens = buckets.mean_tokens()
    student.train()
    for step in range(1, recipe.max_steps + 1):
        inputs, targets = strings.batch(torch.from_numpy(buckets.rows(step)))
        loss = _cross_entropy(teacher, student, inputs, targets >= 0) / mean_tokens
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, recipe.clip)
        for group in optimizer.param_groups:
            group["lr"] = rate(step, recipe)
        optimizer.step()
        kept = min(recipe.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 1 - kept)
    with torch.no_grad():
        torch._foreach_copy_(weights, average)


def _cross_entropy(teacher: Model, student: Model, inputs: Tensor, is_token: Tensor) -> Tensor:
    """Of the student's probabilities of each next token under the teacher's, summed."""
    with torch.no_grad():
        expected = teacher(inputs)[is_token].softmax(-1)  # (N, V)
    found = student(inputs)[is_token].log_softmax(-1)  # (N, V)
    return -(expected * found).sum()


def save(
    out: Path,
    run: Run,
    student: Blend,
    splits: dict[str, EncodedStrings],
    steps: int,
    seconds: float,
) -> None:
    """Writes the run folder, and says how well the student does."""
    losses = {name: mean_nll(student, strings) for name, strings in splits.items()}
    weights = [round(weight, 4) for weight in student.weights.tolist()]
    progress = Progress(
        step=steps,
        losses=losses,
        seconds=seconds,
        finished=True,
        fitted={"weights": weights},
    )
    folder = RunFolder(out)
    folder.open(0)
    made = Checkpoint(run=run, progress=progress, weights=student.state_dict())
    checkpoint.save(folder.best, made)
    told = "  ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
    print(f"{told}  weights {weights}  {seconds:.0f} s of one core")


if __name__ == "__main__":
    main()
