"""Other ways to mix the components of a blend than four fixed weights, judged on dev.

    mm-train names.txt -o run --preset best --no-refit
    python benchmarks/mixing.py names.txt run

What each way chooses, it chooses on four fifths of the strings of dev; its loss is that of the
other fifth, in turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import torch
from figures import show
from makemore_export.commands.run_planning import planned
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.text import read_text
from makemore_export.runs.checkpoint import read_source
from torch import Tensor

FOLDS = 5
PRIOR = 200.0
"""Tokens that the fixed weights count as, where a bucket has its own."""

Way = Callable[[Tensor, Tensor], Tensor]
"""From what is chosen on, bool (N,), and what is judged, bool (N,), to the losses of the latter."""


@click.command()
@click.argument("text", type=click.Path(path_type=Path, exists=True))
@click.argument("run", type=click.Path(path_type=Path, exists=True))
def main(text: Path, run: Path) -> None:
    """Compares ways to mix the components of the blend in the folder RUN, trained on TEXT."""
    source = read_source(run)
    _, lines = planned(read_text(text), {}, source.run)
    blend = source.run.new_model()
    blend.load_state_dict(source.weights)
    dev = EncodedStrings(lines["dev"], source.run.vocabulary)
    inputs, targets = dev.batch(torch.arange(len(dev)))
    is_token = targets >= 0
    with torch.no_grad():
        predicted = [each.eval()(inputs)[is_token] for each in blend.components()]
    log_probs = torch.stack(predicted).double().log_softmax(-1)  # (K, N, V)
    token = targets[is_token]
    string, position = is_token.nonzero().T
    known, count = contexts(lines["train"], lines["dev"])
    ways: dict[str, Way] = {
        "fixed weights": bucketed(log_probs, token, torch.zeros_like(token)),
        "by position": bucketed(log_probs, token, position.clamp(max=9)),
        "by length of the known context": bucketed(log_probs, token, known),
        "by how often it was seen": bucketed(log_probs, token, count),
        "by both": bucketed(log_probs, token, 100 * known + count),
        "temperatures": scaled(log_probs, token, summed=False),
        "log-linear": scaled(log_probs, token, summed=True),
    }
    show([{"way": name, "dev": f"{judged(way, string):.4f}"} for name, way in ways.items()])


def contexts(train: Sequence[str], dev: Sequence[str], most: int = 5) -> tuple[Tensor, Tensor]:
    """Of each token of dev: how long the longest context is that train has, and how often it has
    it, as the rounded logarithm to base 2.
    """
    seen: Counter[str] = Counter()
    for line in train:
        padded = f"\n{line}"
        for end in range(1, len(padded) + 1):
            seen.update(padded[begin:end] for begin in range(max(0, end - most), end + 1))
    known, counts = [], []
    for line in dev:
        padded = f"\n{line}"
        for end in range(1, len(padded) + 1):
            parts = (padded[begin:end] for begin in range(max(0, end - most), end + 1))
            longest = next(part for part in parts if seen[part])
            known.append(len(longest))
            counts.append(min(8, round(torch.tensor(seen[longest] + 1.0).log2().item())))
    return torch.tensor(known), torch.tensor(counts)


def judged(way: Way, string: Tensor) -> float:
    """The mean loss, by cross-validation over strings. string: which one each token is of (N,)."""
    held_out = [string % FOLDS == fold for fold in range(FOLDS)]
    return torch.cat([way(~these, these) for these in held_out]).mean().item()


def bucketed(log_probs: Tensor, token: Tensor, bucket: Tensor) -> Way:
    """A linear mixture, with weights for each bucket (N,) of tokens."""
    probs = log_probs.gather(2, token.expand(len(log_probs), -1)[..., None])[..., 0].exp()  # (K, N)

    def way(chosen_on: Tensor, judged_on: Tensor) -> Tensor:
        fixed = _weights(probs[:, chosen_on], torch.zeros(len(probs), 1))
        weights = fixed.expand(len(probs), probs.shape[1]).clone()  # (K, N)
        for one in bucket.unique():
            here = bucket == one
            weights[:, here] = _weights(probs[:, chosen_on & here], PRIOR * fixed)
        return -(weights * probs)[:, judged_on].sum(0).log()

    return way


def _weights(probs: Tensor, prior: Tensor) -> Tensor:
    """By expectation-maximisation (K, 1). prior: tokens (K, 1) that are counted beside them."""
    weights = torch.full((len(probs), 1), 1 / len(probs), dtype=probs.dtype)
    for _ in range(300):
        shares = weights * probs
        counts = (shares / shares.sum(0)).sum(1, keepdim=True) + prior
        weights = counts / counts.sum()
    return weights


def scaled(log_probs: Tensor, token: Tensor, *, summed: bool) -> Way:
    """Log-probabilities times a factor for each component, then a linear mixture of what that
    gives, or (`summed`) the distribution that is proportional to the exponential of their sum.
    """

    def losses(factors: Tensor, weights: Tensor, these: Tensor) -> Tensor:
        scaled = log_probs[:, these] * factors[:, None, None]
        if summed:
            mixed = scaled.sum(0).log_softmax(-1)
        else:
            mixed = (scaled.log_softmax(-1) + weights.log_softmax(0)[:, None, None]).logsumexp(0)
        return -mixed.gather(1, token[these][:, None])[:, 0]

    def way(chosen_on: Tensor, judged_on: Tensor) -> Tensor:
        start = 1 / len(log_probs) if summed else 1.0
        factors = torch.full((len(log_probs),), start, dtype=torch.double, requires_grad=True)
        weights = torch.zeros(len(log_probs), dtype=torch.double, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [factors, weights], max_iter=60, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = losses(factors, weights, chosen_on).mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            return losses(factors, weights, judged_on)

    return way


if __name__ == "__main__":
    main()
