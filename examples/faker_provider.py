"""A provider for Faker: `fake.made_name()` gives names that a model made up.

fake = faker.Faker()
fake.add_provider(provider("names"))
fake.seed_instance(1)
fake.made_name()
"""

from __future__ import annotations

import makemore
from faker.providers import BaseProvider


def provider(artifact: str) -> type[BaseProvider]:
    """A provider over an artifact. Each name depends on Faker's own seed."""
    sampler = makemore.load(artifact)

    class MadeNames(BaseProvider):
        def made_name(self, wildcard: str | None = None) -> str:
            """One name that is no line of the training text."""
            seed = self.random_int(0, 2**63 - 1)
            return sampler.sample(1, seed=seed, wildcard=wildcard, novel=True)[0].capitalize()

    return MadeNames
