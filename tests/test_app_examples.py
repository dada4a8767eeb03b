"""The examples of makemore within other programs do what they say."""

import asyncio
import sys
from itertools import islice
from pathlib import Path

import makemore
import pytest
from makemore.fingerprints import Fingerprints
from tiny_artifacts import FOLDER

EXAMPLES = Path(__file__).parents[1] / "examples"
BIGRAM = FOLDER / "bigram"


@pytest.fixture(autouse=True)
def examples(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("ARTIFACT", str(BIGRAM))
    yield
    for name in ("serve", "faker_provider", "product_codes", "valid_smiles"):
        sys.modules.pop(name, None)


def test_a_web_service_streams_names():
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    from serve import app

    async def get(**params):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://names") as client:
            return await client.get("/names", params=params)

    answer = asyncio.run(get(n=50, seed=1, wildcard="*a"))
    assert answer.status_code == 200
    expected = makemore.load(BIGRAM).sample(50, seed=1, wildcard="*a")
    assert answer.text.splitlines() == expected
    refused = asyncio.run(get(wildcard="*d"))
    assert refused.status_code == 422
    assert "it needs 'd', which this model does not know" in refused.json()["detail"]
    assert asyncio.run(get(n=10**6)).status_code == 422


def test_a_provider_for_faker_makes_the_same_names_from_the_same_seed(monkeypatch):
    faker = pytest.importorskip("faker")
    from faker_provider import provider

    load = makemore.load

    def trained_on_lines(path):
        sampler = load(path)
        sampler.fingerprints = lambda: Fingerprints.of(["a", "b"])
        return sampler

    monkeypatch.setattr(makemore, "load", trained_on_lines)
    names = []
    for _ in range(2):
        fake = faker.Faker()
        fake.add_provider(provider(str(BIGRAM)))
        fake.seed_instance(1)
        names.append([fake.made_name(wildcard="a*") for _ in range(20)])
    assert names[0] == names[1]
    assert all(name.startswith("A") and name != "A" for name in names[0])


def test_a_table_gets_codes_that_are_not_in_use():
    pandas = pytest.importorskip("pandas")
    from product_codes import add_codes

    used = {"abc", "aaa", "bca"}
    table = add_codes(pandas.DataFrame({"id": range(200)}), makemore.load(BIGRAM), used=used)
    assert table["code"].is_unique
    assert not used & {*table["code"]}
    assert table["code"].str.len().min() >= 3


def test_molecules_are_filtered_by_a_function():
    from valid_smiles import passing, valid

    assert [valid(text) for text in ("C1CC1", "C(", "C)(", "C1", "CC(C)C")] == [
        True,
        False,
        False,
        False,
        True,
    ]
    made = [*islice(passing(makemore.load(BIGRAM), lambda text: "b" not in text, seed=2), 20)]
    plain = dict.fromkeys(makemore.load(BIGRAM).sample(500, seed=2))
    assert made == [text for text in plain if "b" not in text][:20]
