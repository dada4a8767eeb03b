"""A checkpoint from elsewhere may hold anything: it is refused in one line, or works."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import pytest
import safetensors.torch
import torch
from makemore.errors import CheckpointError, MakemoreError
from makemore_export.models import counted
from makemore_export.packing.eager import describe, eager_sampler
from makemore_export.runs import checkpoint
from makemore_export.runs.checkpoint import RunFolder, read_source
from small_runs import records, trained

MUTANTS = 200
VALUES = [
    *(None, True, -1, 0, 1, 2, 1e308, -1e308, 0.5, 2**31, 2**63, 2**70, "", "x", "abc"),
    *(
        "blend",
        "bigram",
        "gru",
        "word",
        "\u202e",
        [],
        {},
        [[]],
        ["a", "a"],
        {"x": 1},
        [1e308, 1, 1],
    ),
]


def parts_of(path: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """The metadata and the tensors of a checkpoint."""
    with safetensors.safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["makemore"])
        return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write(path: Path, metadata: dict, tensors: dict[str, torch.Tensor]) -> None:
    text = json.dumps(metadata)
    path.write_bytes(safetensors.torch.save(tensors, {"makemore": text}))


def places(value: object) -> list[tuple[dict | list, object]]:
    """Every container of a JSON value, with each of its keys."""
    found = []
    if isinstance(value, (dict, list)):
        keys = [*value] if isinstance(value, dict) else [*range(len(value))]
        found = [(value, key) for key in keys]
        for key in keys:
            found += places(value[key])
    return found


def mutate_metadata(metadata: dict, rng: random.Random) -> None:
    container, key = rng.choice(places(metadata))
    if rng.random() < 0.25:
        del container[key]
    else:
        container[key] = copy.deepcopy(rng.choice(VALUES))


def mutate_tensors(tensors: dict[str, torch.Tensor], rng: random.Random) -> None:
    name = rng.choice([*tensors])
    tensor = tensors[name]
    kind = rng.randrange(5)
    if kind == 0:
        tensors[name + "x"] = tensors.pop(name)
    elif kind == 1:
        del tensors[name]
    elif kind == 2:
        tensors[name] = torch.zeros(*tensor.shape, 2)
    elif kind == 3:
        tensors[name] = tensor.to(rng.choice([torch.float64, torch.int64, torch.int8, torch.bool]))
    else:
        extreme = [torch.nan, torch.inf, 1e30] if tensor.is_floating_point() else [-1, 10**6]
        tensor.view(-1)[rng.randrange(tensor.numel())] = rng.choice(extreme)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run folders by model: one of them stopped on the way, so that it can be resumed."""
    folder = tmp_path_factory.mktemp("runs")
    for model in ("gru", "ngram", "blend"):
        trained(folder / model, model, **({} if model == "ngram" else {"max_steps": 2}))
    _, steps = records(folder / "stopped", "mlp", max_steps=8)
    for _ in range(3):
        next(steps)
    steps.close()
    return folder


def use(path: Path) -> None:
    """What `mm-export` does first: reads the checkpoint, samples from its model."""
    source = read_source(path)
    model = source.run.new_model()
    model.load_state_dict(source.weights)
    eager_sampler(model, describe(source.run, source.progress, model)).sample(2, seed=1)


@pytest.mark.parametrize("model", ["gru", "ngram", "blend"])
def test_a_mutated_checkpoint_works_or_is_refused_by_name(runs, tmp_path, model):
    rng = random.Random(model)
    path = tmp_path / "best.safetensors"
    refused = 0
    for _ in range(MUTANTS):
        metadata, tensors = parts_of(runs / model / "best.safetensors")
        if rng.random() < 0.6:
            mutate_metadata(metadata, rng)
        else:
            mutate_tensors(tensors, rng)
        write(path, metadata, tensors)
        try:
            use(path)
        except MakemoreError as error:
            refused += 1
            assert len(str(error)) < 2000 + len(str(path))
    assert MUTANTS // 4 < refused < MUTANTS


def test_a_mutated_last_checkpoint_resumes_or_is_refused_by_name(runs, tmp_path):
    rng = random.Random(1)
    refused = 0
    for i in range(60):
        folder = RunFolder(tmp_path / str(i))
        folder.path.mkdir()
        metadata, tensors = parts_of(runs / "stopped" / "last.safetensors")
        if rng.random() < 0.2:
            mutate_metadata(metadata["progress"], rng)
        else:
            mutate_tensors(tensors, rng)
        write(folder.last, metadata, tensors)
        try:
            _, steps = records(folder.path, "mlp", max_steps=8)
            next(steps, None)
            steps.close()
        except MakemoreError:
            refused += 1
    assert 10 < refused < 60


def edited(path: Path, tmp_path: Path, **changes: object) -> Path:
    """A copy of a checkpoint whose fields, named `run__model`, are changed."""
    metadata, tensors = parts_of(path)
    for name, value in changes.items():
        *route, last = name.split("__")
        container = metadata
        for key in route:
            container = container[key]
        container[last] = value
    copied = tmp_path / "edited.safetensors"
    write(copied, metadata, tensors)
    return copied


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run__model": "lstn"}, "model 'lstn' is unknown here"),
        ({"run__config__n_embd": "8"}, r"Expected `int`, got `str` - at `\$.n_embd`"),
        ({"run__config__n_layer": 10**9}, "Expected `int` <= 1000"),
        ({"run__config__n_hidden": 9}, "tensors do not fit the model: size mismatch for"),
        ({"run__tokens": []}, "run.tokens is empty"),
        ({"run__tokens": ["blend", "b"]}, r"run.tokens\[0\] is 'blend'; it must be 1 code point"),
        ({"run__tokens": ["a", "a"]}, "run.tokens holds 'a' 2 times; 1 is the limit"),
        ({"run__level": "word", "run__tokens": ["a b"]}, r"run.tokens\[0\] is 'a b'; it must be a"),
        ({"run__split": [1e308, 1e308, 0]}, "run.split must be percentages"),
        ({"run__recipe": None}, "run.recipe: model 'gru' takes one"),
        ({"run__seed": -1}, "Expected `int` >= 0"),
        ({"progress__fitted": {"x": [[]]}}, "bad checkpoint metadata"),
    ],
)
def test_a_field_that_cannot_be_is_named(runs, tmp_path, changes, message):
    path = edited(runs / "gru" / "best.safetensors", tmp_path, **changes)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


def test_a_model_that_counts_takes_no_recipe(runs, tmp_path):
    recipe = parts_of(runs / "gru" / "best.safetensors")[0]["run"]["recipe"]
    path = edited(runs / "ngram" / "best.safetensors", tmp_path, run__recipe=recipe)
    with pytest.raises(CheckpointError, match=r"run.recipe: model 'ngram' takes none"):
        checkpoint.load(path)


def test_the_longest_string_fits_the_block(tmp_path):
    trained(tmp_path / "run", "bow", max_steps=1)
    path = edited(tmp_path / "run" / "best.safetensors", tmp_path, run__max_length=99)
    with pytest.raises(CheckpointError, match=r"run.max_length is 99; a block of"):
        checkpoint.load(path)


def with_tensors(path: Path, tmp_path: Path, edit) -> Path:
    metadata, tensors = parts_of(path)
    edit(tensors)
    copied = tmp_path / "edited.safetensors"
    write(copied, metadata, tensors)
    return copied


@pytest.mark.parametrize(
    ("name", "new", "message"),
    [
        ("average.head.bias", None, "tensor average.head.bias is missing"),
        ("average.odd", torch.zeros(1), "tensor average.odd belongs to no parameter"),
        ("average.head.bias", torch.zeros(3), "tensor average.head.bias is torch.float32 of shape"),
        ("optimizer.head.bias.step", None, "tensor optimizer.head.bias.step is missing"),
        ("model.head.bias", None, 'Missing key.*"head.bias"'),
        ("model.head.bias", torch.zeros(12).double(), "tensor model.head.bias is torch.float64"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(runs, tmp_path, name, new, message):
    def edit(tensors):
        if new is None:
            del tensors[name]
        else:
            tensors[name] = new

    path = with_tensors(runs / "stopped" / "last.safetensors", tmp_path, edit)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("name", "new", "message"),
    [
        ("next", torch.full((12,), 10**6, dtype=torch.int32), "next: leads to a context beyond"),
        ("next", torch.zeros(13, dtype=torch.int32), "next: 13 edges"),
        ("logits", torch.zeros(2, 3), r"logits: \[2, 3\], not \(contexts, 12\)"),
        ("state", None, "state: one that is none of the"),
    ],
)
def test_tables_of_an_ngram_that_lead_nowhere_are_refused(runs, tmp_path, name, new, message):
    def edit(tensors):
        old = tensors[f"model.{name}"]
        tensors[f"model.{name}"] = torch.full_like(old, -1) if new is None else new

    path = with_tensors(runs / "ngram" / "best.safetensors", tmp_path, edit)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("name", "at", "new", "message"),
    [
        ("suffix", 1, 10**6, r"levels\.0\.suffix: a number that is not from 0 to \d"),
        ("suffix", 0, 1, r"levels\.0\.suffix: one of no context"),
        ("token", 3, 99, r"levels\.0\.token: a number that is not from 0 to 12"),
        ("next", 3, -1, r"levels\.0\.next: a number that is not"),
        ("ends", 1, 10**6, r"levels\.0\.ends: not those of the rows"),
        ("offsets", 0, 2, r"levels\.0\.offsets: not those up to"),
        ("value", None, torch.zeros(3, 1), r"levels\.0\.value: 3 numbers, not"),
        ("token", None, torch.zeros(3, 1), r"levels\.0\.token: torch.float32 of"),
    ],
)
def test_sparse_tables_of_an_ngram_that_lead_nowhere_are_refused(
    runs, tmp_path, monkeypatch, name, at, new, message
):
    monkeypatch.setattr(counted, "_DENSE", 0)
    monkeypatch.setattr(counted, "_DENSE_OF_SPARSE", 0)
    trained(tmp_path / "run", "ngram", order=4)

    def edit(tensors):
        if at is None:
            tensors[f"model.levels.0.{name}"] = new
        else:
            tensors[f"model.levels.0.{name}"][at] = new

    path = tmp_path / "run" / "best.safetensors"
    checkpoint.load(path)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(with_tensors(path, tmp_path, edit))


@pytest.mark.parametrize(
    ("prefix", "message"),
    [("average.", "has no averaged weights"), ("optimizer.", "has no state of the optimizer")],
)
def test_a_run_without_what_it_goes_on_from_is_refused(runs, tmp_path, prefix, message):
    metadata, tensors = parts_of(runs / "stopped" / "last.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)}
    write(tmp_path / "last.safetensors", metadata, kept)
    with pytest.raises(CheckpointError, match=message):
        next(records(tmp_path, "mlp", max_steps=8)[1])


def test_a_best_checkpoint_of_another_run_is_refused(runs, tmp_path):
    folder = RunFolder(tmp_path)
    folder.last.write_bytes((runs / "stopped" / "last.safetensors").read_bytes())
    path = edited(runs / "gru" / "best.safetensors", tmp_path, progress__finished=False)
    path.rename(folder.best)
    with pytest.raises(CheckpointError, match=r"best.safetensors: is of another run than last"):
        folder.latest()


def test_a_run_without_weights_yet_cannot_be_exported(tmp_path):
    _, steps = records(tmp_path / "run", "blend", max_steps=2)
    next(steps)
    steps.close()
    with pytest.raises(CheckpointError, match="holds no weights yet"):
        read_source(tmp_path / "run" / "last.safetensors")
