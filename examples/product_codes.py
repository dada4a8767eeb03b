"""A column of new product codes in a pandas table: none that is in use, none twice.

python product_codes.py codes-artifact products.csv
"""

from __future__ import annotations

import sys

import makemore
import pandas as pd


def add_codes(table: pd.DataFrame, sampler: makemore.Sampler, *, used: set[str]) -> pd.DataFrame:
    """The table with a column `code`, whose strings are not in `used`."""
    codes = sampler.sample(len(table), seed=1, unique=True, not_in=used, min_length=3)
    return table.assign(code=codes)


if __name__ == "__main__":
    products = pd.read_csv(sys.argv[2])
    in_use = set(products.get("code", pd.Series(dtype=str)).dropna())
    add_codes(products, makemore.load(sys.argv[1]), used=in_use).to_csv(sys.stdout, index=False)
