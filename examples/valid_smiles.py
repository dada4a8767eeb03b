"""Molecules that a function of yours lets pass, from a model of SMILES strings.

`valid` here looks at brackets and ring numbers alone; with RDKit it would be
`lambda smiles: Chem.MolFromSmiles(smiles) is not None`. A filter of one's own is a loop over a
stream: what passes is still distributed as the model's strings are, given that they pass.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice

import makemore


def valid(smiles: str) -> bool:
    """Whether brackets close and every ring number comes an even number of times."""
    depth = 0
    for character in smiles:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            return False
    rings = [character for character in smiles if character.isdigit()]
    return depth == 0 and all(rings.count(ring) % 2 == 0 for ring in rings)


def passing(
    sampler: makemore.Sampler, passes: Callable[[str], bool], *, seed: int
) -> Iterator[str]:
    """The strings of a seed that pass, one after the other, without end."""
    with sampler.stream(seed=seed, unique=True) as stream:
        yield from filter(passes, stream)


if __name__ == "__main__":
    for smiles in islice(passing(makemore.load(sys.argv[1]), valid, seed=1), 10):
        print(smiles)
