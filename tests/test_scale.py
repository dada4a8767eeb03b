"""Rows of a seed in Parquet files: the same data set however divided, and nothing half-made."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import makemore
import numpy as np
import pytest
from makemore import DataError, OptionError, OptionTypeError
from makemore.fingerprints import Fingerprints
from makemore.source import sha256_of
from tiny_artifacts import FOLDER

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
from makemore import scale  # noqa: E402
from makemore.scale import rows as scale_rows  # noqa: E402

BIGRAM = FOLDER / "bigram"
ROWS = 3000
WORD = 2**64


@pytest.fixture
def made(tmp_path):
    """A folder of seven shards, and its manifest."""
    folder = tmp_path / "made"
    return folder, scale.generate(BIGRAM, ROWS, 7, folder, shard_rows=450, workers=1)


def rows_of(table):
    return [tuple(row.values()) for row in table.to_pylist()]


def all_rows(folder):
    tables = [pq.read_table(file) for file in sorted(folder.glob("*.parquet"))]
    return rows_of(pa.concat_tables(tables))


def expected_rows(artifact=BIGRAM, rows=ROWS, seed=7, first_row=0, **options):
    samples = makemore.load(artifact).sample_rows(first_row, rows, seed=seed, **options)
    return [(each.text, each.log_prob, each.seed, each.row) for each in samples]


def slow_digest(samples):
    """The digest by its definition, a row at a time."""
    golden, total = 0x9E3779B97F4A7C15, 0

    def mixed(number):
        number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % WORD
        number = (number ^ number >> 27) * 0x94D049BB133111EB % WORD
        return number ^ number >> 31

    for text, _, seed, row in samples:
        found = sum((b + 1) * golden ** (i + 1) for i, b in enumerate(text.encode())) % WORD
        for number in (seed, row):
            found = mixed((found * golden + number) % WORD)
        total += found
    return f"{total % WORD:016x}"


@pytest.mark.parametrize(
    "artifact",
    ["bigram", "sparse", "history", "schema-2/words", "schema-3/labels", "schema-3/tokens"],
)
@pytest.mark.parametrize("options", [{}, {"min_length": 0}, {"min_length": 3, "top_k": 3}])
def test_a_shard_is_the_rows_that_pass_as_a_table(artifact, options):
    if artifact == "schema-3/tokens":
        pytest.importorskip("outlines_core")
    table = scale.shard(FOLDER / artifact, 40, 300, seed=9, **options)
    assert table.schema.names == ["text", "log_prob", "seed", "row"]
    table.validate(full=True)
    assert rows_of(table) == expected_rows(FOLDER / artifact, 300, 9, 40, **options)
    assert scale.digest(table) == slow_digest(rows_of(table))


def test_rows_are_the_same_however_many_are_decoded_at_a_time(monkeypatch, bigram):
    whole = scale.shard(bigram, 2**64 - 500, 500, seed=2**64 - 1)
    monkeypatch.setattr(scale_rows, "CHUNK_ROWS", 64)
    assert scale.shard(bigram, 2**64 - 500, 500, seed=2**64 - 1).equals(whole)
    assert whole["row"][-1].as_py() == 2**64 - 1


def test_a_shard_of_no_rows_is_an_empty_table(bigram):
    assert scale.shard(bigram, 5, 0, seed=1).num_rows == 0
    assert scale.digest(scale.shard(bigram, 5, 0, seed=1)) == "0" * 16


def test_numbers_of_numpy_are_plain_ones_in_a_shard(bigram):
    first_row, rows, seed = np.uint64(2**64 - 5), np.int32(5), np.int64(1)
    table = scale.shard(bigram, first_row, rows, seed=seed)
    assert table.equals(scale.shard(bigram, 2**64 - 5, 5, seed=1))
    with pytest.raises(OptionTypeError, match="first_row is 'a'"):
        scale.shard(bigram, "a", 5, seed=1)


def test_novel_and_not_in_pass_the_same_strings_in_a_shard(bigram):
    texts = {text for text, *_ in expected_rows(rows=200)}
    bigram.fingerprints = lambda: Fingerprints.of(texts)
    table = scale.shard(bigram, 0, ROWS, seed=7, novel=True)
    assert rows_of(table) == [row for row in expected_rows() if row[0] not in texts]
    assert scale.shard(BIGRAM, 0, ROWS, seed=7, not_in=texts).equals(table)


def test_files_hold_all_rows_that_pass_named_by_the_rows_that_were_tried(made):
    folder, manifest = made
    names = [each.name for each in sorted(folder.glob("*.parquet"))]
    assert names[0] == "rows-0000-0449.parquet"
    assert names[-1] == "rows-2700-2999.parquet"
    assert all_rows(folder) == expected_rows()
    assert manifest.strings == len(expected_rows())
    assert manifest.digest == slow_digest(expected_rows())
    assert {each.name for each in folder.iterdir()} == {*names, "manifest.json"}
    assert scale.verify(folder) == []


@pytest.mark.parametrize("shard_rows", [ROWS, 1000, 77])
def test_the_digest_of_all_rows_is_the_same_whatever_the_size_of_a_shard(
    made, tmp_path, shard_rows
):
    other = scale.generate(BIGRAM, ROWS, 7, tmp_path / "other", shard_rows=shard_rows, workers=1)
    assert other.digest == made[1].digest


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.slice(1),
        lambda table: pa.concat_tables([table, table.slice(0, 1)]),
        lambda table: table.set_column(
            0, "text", table["text"].take([1, 0, *range(2, len(table))])
        ),
    ],
    ids=["a row less", "a row twice", "two texts in each other's place"],
)
def test_the_digest_of_other_rows_is_another(bigram, change):
    table = scale.shard(bigram, 0, 50, seed=1)
    assert table["text"][0] != table["text"][1]
    assert scale.digest(change(table)) != scale.digest(table)


def test_the_digest_does_not_depend_on_the_order_or_the_chunks_of_a_table(bigram):
    table = scale.shard(bigram, 0, 50, seed=1)
    parts = pa.concat_tables([table.slice(20, 30), table.slice(0, 20)])
    assert scale.digest(parts) == scale.digest(table)


def test_a_manifest_tells_artifact_options_versions_and_shards(tmp_path):
    folder = tmp_path / "made"
    scale.generate(
        BIGRAM, 900, 3, folder, shard_rows=500, workers=1, top_k=2, not_in={"b", "a"}, batch_size=9
    )
    told = json.loads((folder / "manifest.json").read_text())
    assert told["artifact"] == sha256_of(BIGRAM / "model.onnx")
    not_in = told["request"].pop("not_in")
    assert not_in.startswith("2 strings, SHA-256 ")
    assert told["request"] == {
        "rows": 900,
        "first_row": 0,
        "seed": 3,
        "shard_rows": 500,
        "top_k": 2,
    }
    assert told["versions"].keys() == {"makemore", "onnxruntime"}
    assert [each["rows"] for each in told["shards"]] == [500, 400]
    for each in told["shards"]:
        assert each["sha256"] == sha256_of(folder / each["file"])
        assert each["bytes"] == (folder / each["file"]).stat().st_size


def test_what_is_recorded_is_plain_and_what_is_used(tmp_path):
    plain = scale.generate(BIGRAM, 900, 1, tmp_path / "plain", shard_rows=500, workers=1)
    numbers = {"first_row": np.uint64(0), "shard_rows": np.int32(500), "workers": np.int64(1)}
    other = scale.generate(BIGRAM, np.int64(900), True, tmp_path / "other", **numbers)
    assert other == plain
    told = (tmp_path / "other" / "manifest.json").read_text()
    assert '"seed": 1,' in told
    assert told == (tmp_path / "plain" / "manifest.json").read_text()


@pytest.mark.parametrize(
    "not_in", [np.array(["a", "b"]), ["b", "a", "a"], dict.fromkeys("ab").keys()]
)
def test_not_in_may_be_any_collection_and_is_recorded_as_the_same_set(tmp_path, not_in):
    expected = scale.generate(BIGRAM, 900, 1, tmp_path / "set", workers=1, not_in={"a", "b"})
    found = scale.generate(BIGRAM, 900, 1, tmp_path / "made", workers=1, not_in=not_in)
    assert found == expected
    assert expected.strings < len(expected_rows(rows=900, seed=1))


def states(folder, **options):
    """A run that goes on, and what became of each shard."""
    found = {}
    manifest = scale.generate(
        BIGRAM,
        ROWS,
        7,
        folder,
        shard_rows=450,
        workers=1,
        on_result=lambda result: found.update({result.shard.first_row: result.state}),
        **options,
    )
    return manifest, found


def test_a_second_run_keeps_what_is_there(made):
    folder, manifest = made
    before = {each: each.stat().st_mtime_ns for each in folder.glob("*.parquet")}
    again, found = states(folder)
    assert set(found.values()) == {"kept"}
    assert again == manifest
    assert {each: each.stat().st_mtime_ns for each in folder.glob("*.parquet")} == before


def test_a_default_that_is_written_out_asks_for_the_same(made):
    again, found = states(made[0], temperature=float("1"), top_k=np.int64(0), novel=np.False_)
    assert set(found.values()) == {"kept"}
    assert again == made[1]


def test_a_run_that_was_stopped_goes_on_where_it_was(made, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(result):
        if result.shard.first_row == 900:
            raise StoppedError

    folder = tmp_path / "stopped"
    with pytest.raises(StoppedError):
        scale.generate(BIGRAM, ROWS, 7, folder, shard_rows=450, workers=1, on_result=stop)
    assert scale.verify(folder) == ["3 of 7 shards are there"]
    manifest, found = states(folder)
    assert found == {0: "kept", 450: "kept", 900: "kept"} | dict.fromkeys(
        (1350, 1800, 2250, 2700), "made"
    )
    assert manifest == made[1]


def tamper(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (tamper, "is not as it was written"),
        (lambda file: file.write_bytes(file.read_bytes()[:-40]), "is not as it was written"),
        (lambda file: file.unlink(), "is missing"),
        (lambda file: shutil.copy(file.with_name("rows-0000-0449.parquet"), file), "is not as"),
    ],
    ids=["a bit", "cut", "gone", "another shard"],
)
def test_a_shard_that_was_changed_is_found_and_made_again(made, damage, told):
    folder, manifest = made
    file = folder / "rows-0900-1349.parquet"
    damage(file)
    [wrong] = scale.verify(folder)
    assert file.name in wrong
    assert told in wrong
    again, found = states(folder)
    assert [row for row, state in found.items() if state == "remade"] == [900]
    assert again == manifest
    assert scale.verify(folder) == []


def test_a_file_that_is_no_shard_is_told(made):
    (made[0] / "more.parquet").touch()
    assert scale.verify(made[0]) == ["more.parquet is no shard of the manifest"]


def test_a_manifest_that_was_changed_is_not_believed(made):
    folder, _ = made
    told = json.loads((folder / "manifest.json").read_text())
    told["shards"][1] |= {"sha256": "0" * 64, "digest": "0" * 16}
    (folder / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match="the manifest was changed"):
        states(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 2999}, "rows 3000, and is now asked to go on with 2999"),
        ({"seed": 8}, "seed 7"),
        ({"shard_rows": 500}, "shard_rows 450"),
        ({"first_row": 450}, "first_row 0"),
        ({"temperature": 0.5}, "temperature none, and is now asked to go on with 0.5"),
        ({"artifact": FOLDER / "sparse"}, "artifact"),
    ],
)
def test_other_options_are_refused_by_name_and_nothing_is_changed(made, change, message):
    folder, _ = made
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    asked = {"artifact": BIGRAM, "rows": ROWS, "seed": 7, "shard_rows": 450} | change
    with pytest.raises(OptionError, match=message):
        scale.generate(output=folder, workers=1, **asked)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_other_versions_are_refused(made, monkeypatch):
    told = json.loads((made[0] / "manifest.json").read_text())
    told["versions"]["onnxruntime"] = "1.0"
    (made[0] / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(OptionError, match="onnxruntime '1"):
        states(made[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is not a manifest"),
        ("{}", "it is not a manifest"),
        ("[" * 100_000, "it is not a manifest"),
        ('{"schema": 9, "kind": "sample"', "it is not a manifest"),
    ],
)
def test_a_manifest_that_is_none_is_refused(made, text, message):
    (made[0] / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=message):
        states(made[0])


def test_a_manifest_names_no_file_elsewhere(made):
    told = json.loads((made[0] / "manifest.json").read_text())
    told["shards"][0]["file"] = "../secret"
    (made[0] / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match="is not in this folder"):
        scale.verify(made[0])


def test_a_newer_manifest_is_refused_by_number(made):
    told = json.loads((made[0] / "manifest.json").read_text())
    (made[0] / "manifest.json").write_text(json.dumps(told | {"schema": 2}))
    with pytest.raises(DataError, match="schema 2; this version knows 1"):
        scale.verify(made[0])


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "mine.parquet").touch()
    with pytest.raises(OptionError, match=r"holds mine\.parquet and no manifest"):
        scale.generate(BIGRAM, 10, 1, tmp_path, workers=1)
    with pytest.raises(OptionError, match="is a file; name a folder"):
        scale.generate(BIGRAM, 10, 1, tmp_path / "mine.parquet", workers=1)
    with pytest.raises(DataError, match=r"holds no manifest\.json"):
        scale.verify(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rows": 0}, OptionError, "rows is 0"),
        ({"rows": "ten"}, OptionTypeError, "rows is 'ten'"),
        ({"seed": -1}, OptionError, "seed is -1"),
        ({"shard_rows": 0}, OptionError, "shard_rows is 0"),
        ({"workers": 0}, OptionError, "workers is 0"),
        ({"not_in": ["a", 5]}, OptionTypeError, "not_in is .*5"),
        ({"not_in": {"a", 5}}, OptionTypeError, "not_in is 5; it must be a string"),
        ({"not_in": [["a"]]}, OptionTypeError, "not_in is .*'a'"),
        ({"first_row": 2**64 - 5}, OptionError, "passes 2"),
        ({"prefix": "Q"}, OptionError, "Q"),
        ({"temperature": -1}, OptionError, "temperature is -1"),
        ({"adjust": print}, OptionError, "use shard"),
        ({"novel": True}, OptionError, "no fingerprints"),
        ({"unique": True}, TypeError, "unique"),
        ({"output": "nowhere://x"}, OptionError, "no filesystem is known"),
        ({"ray": "auto", "workers": 2}, OptionError, "workers cannot be given with ray 'auto'"),
        ({"ray": "auto", "executor": ThreadPoolExecutor(1)}, OptionError, "used together"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, change, error, message):
    asked = {"artifact": BIGRAM, "rows": 10, "seed": 1, "output": tmp_path / "made"} | change
    with pytest.raises(error, match=message):
        scale.generate(**asked)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_leaves_no_partial_file(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("makemore.scale.samples.write_parquet", full)
    with pytest.raises(OSError, match="No space left"):
        scale.generate(BIGRAM, 10, 1, tmp_path / "made", workers=1)
    assert [each.name for each in (tmp_path / "made").iterdir()] == ["manifest.json"]


def test_bytes_of_an_artifact_and_a_uri_of_a_folder_do_as_well(made, tmp_path):
    data = (BIGRAM / "model.onnx").read_bytes()
    place = (tmp_path / "other").as_uri()
    manifest = scale.generate(data, ROWS, 7, place, shard_rows=450, workers=1)
    assert manifest == made[1]
    assert scale.verify(place) == []
    assert scale.seed_of(place) == 7
