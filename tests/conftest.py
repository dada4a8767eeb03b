from __future__ import annotations

import makemore
import pytest
import tiny_models
from makemore import Sampler
from tiny_artifacts import FOLDER, load_tiny
from tiny_models import TinyModel


@pytest.fixture(params=tiny_models.MODELS, ids=lambda tiny: tiny.name)
def tiny(request: pytest.FixtureRequest) -> TinyModel:
    return request.param


@pytest.fixture(params=["tree", "cached"])
def strategy(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def sampler(tiny: TinyModel, strategy: str) -> Sampler:
    """The committed artifact of `tiny`, on one thread."""
    return load_tiny(tiny.name, strategy)


@pytest.fixture
def bigram() -> Sampler:
    return makemore.load(FOLDER / "bigram", threads=1)
