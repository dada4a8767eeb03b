from __future__ import annotations

import makemore
import pytest
import tiny_models
from makemore import Sampler
from tiny_artifacts import FOLDER
from tiny_models import TinyModel


@pytest.fixture(params=tiny_models.MODELS, ids=lambda tiny: tiny.name)
def tiny(request: pytest.FixtureRequest) -> TinyModel:
    return request.param


@pytest.fixture
def sampler(tiny: TinyModel) -> Sampler:
    """The committed artifact of `tiny`, on one thread."""
    return makemore.load(FOLDER / tiny.name, threads=1)


@pytest.fixture
def bigram() -> Sampler:
    return makemore.load(FOLDER / "bigram", threads=1)
