"""Numbers and texts that programs get wrong, for the mutations to choose from."""

from __future__ import annotations

import math
import random

SIZES = (0, -1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 64, 127, 128, 255, 256, 4096, 65535, 65536)
EDGES = (
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**32 + 1,
    2**33,
    2**40,
    2**60,
    2**61,
    2**62,
    2**63 - 1,
    -2,
    -(2**31),
    -(2**31) - 1,
    -(2**62),
    -(2**63),
)
TOO_WIDE = (2**63, 2**64 - 1, 2**64, 2**64 + 1, -(2**63) - 1, 10**30)
FLOATS = (
    math.nan,
    math.inf,
    -math.inf,
    0.0,
    -0.0,
    -1.0,
    1e-45,
    1e-38,
    1e38,
    3.5e38,
    1e308,
    0.5,
)
TEXTS = (
    "",
    " ",
    "  a b ",
    "\0",
    "\n",
    "\u001b[31mred\u001b[0m",
    "\u001b]52;c;ZXZpbA==\u0007",
    "\u202eabc",
    "\ufeff",
    "\U0010ffff",
    "e\u0301",
    "../../etc/passwd",
    "%s%n",
    "`code`\n|table|",
    "token",
    "position",
    "logits",
    "makemore",
    "x" * 5000,
)


def integer(rng: random.Random) -> int:
    """An integer of 64 bits: mostly small, often at the edge of a type."""
    pick = rng.random()
    if pick < 0.5:
        return rng.choice(SIZES)
    if pick < 0.9:
        return rng.choice(EDGES)
    return rng.getrandbits(rng.randrange(1, 64)) * rng.choice((1, -1))


def real(rng: random.Random) -> float:
    return rng.choice(FLOATS) if rng.random() < 0.8 else rng.uniform(-1e4, 1e4)


def text(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return rng.choice(TEXTS)
    return "".join(chr(rng.randrange(1, 0xD800)) for _ in range(rng.randrange(20)))
