"""How many of 10,000 samples differ from those of one call on one thread, on other paths to them.

    python benchmarks/paths.py ARTIFACT ...

None should: whatever the batch, the threads, what is shared and what is remembered. Only where the
nodes of a transformer take the place of its kernel may a coin fall between edges that differ in
their last bits.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path

import click
import makemore
from figures import show
from fused_step import sampler_of

ROWS, SEED = 10_000, 3
ONE_BY_ONE = 2_000
"""Of these, rows that are made in a call each."""


@click.command()
@click.argument("artifacts", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
def main(artifacts: tuple[Path, ...]) -> None:
    """Counts, for each of ARTIFACTS, the samples that another path makes otherwise."""
    show([{"artifact": path.name, **different(path)} for path in artifacts])


def different(path: Path) -> dict[str, float | str]:
    """Samples that are not those of a plain call, by path."""

    def count(found: list[str]) -> float:
        return sum(a != b for a, b in zip(found, plain, strict=False))

    plain = makemore.load(path, threads=1).sample(ROWS, seed=SEED, min_length=0)
    used = makemore.load(path, threads=1)
    for seed in range(5):
        used.sample(4_096, seed=seed, min_length=0)  # to be remembered
    return {
        **{
            f"batch {size:,}": count(
                makemore.load(path, threads=1).sample(
                    ROWS, seed=SEED, min_length=0, batch_size=size
                )
            )
            for size in (1, 7, 1_024)
        },
        "two threads": count(makemore.load(path, threads=2).sample(ROWS, seed=SEED, min_length=0)),
        "1,000 a call, remembered": count(
            [
                text
                for row in range(0, ROWS, 1_000)
                for text in used.sample(1_000, seed=SEED, min_length=0, first_row=row)
            ]
        ),
        "1 a call, remembered": count(
            [used.sample(1, seed=SEED, min_length=0, first_row=row)[0] for row in range(ONE_BY_ONE)]
        ),
        "1 a call, a new sampler": count(
            [
                copy(used).sample(1, seed=SEED, min_length=0, first_row=row)[0]
                for row in range(ONE_BY_ONE)
            ]
        ),
        "nodes": count(
            sampler_of(path / "model.onnx", kernel="").sample(ROWS, seed=SEED, min_length=0)
        ),
    }


if __name__ == "__main__":
    main()
