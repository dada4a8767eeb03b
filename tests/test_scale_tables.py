"""What is made of many files: each string once, and scores."""

import json

import makemore
import numpy as np
import pytest
from commands import run
from makemore import DataError, OptionError, OptionTypeError
from makemore.commands.sample import sample
from makemore.commands.score import score
from tiny_artifacts import FOLDER

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
from makemore import scale  # noqa: E402

BIGRAM = FOLDER / "bigram"
ROWS = 20_000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows") / "made"
    scale.generate(BIGRAM, ROWS, 7, folder, shard_rows=3000, workers=1)
    return folder


@pytest.fixture
def duckdb():
    return pytest.importorskip("duckdb")


def test_distinct_keeps_the_first_row_of_each_string(made, tmp_path, duckdb):
    expected = {}
    for each in makemore.load(BIGRAM).sample_rows(0, ROWS, seed=7):
        expected.setdefault(each.text, (each.text, each.log_prob, each.seed, each.row))
    found = scale.distinct(made, tmp_path / "new" / "distinct.parquet")
    table = pq.read_table(tmp_path / "new" / "distinct.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == [*expected.values()]
    assert table.schema.equals(scale.shard(BIGRAM, 0, 1, seed=7).schema)
    sql = f"SELECT count(DISTINCT text) FROM read_parquet('{made}/*.parquet')"
    assert found == len(expected) == duckdb.sql(sql).fetchall()[0][0]


def test_distinct_of_a_data_set_that_is_not_whole_is_refused(made, tmp_path, duckdb):
    told = json.loads((made / "manifest.json").read_text())
    told["shards"].pop()
    (tmp_path / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match="6 of 7 files"):
        scale.distinct(tmp_path, tmp_path / "distinct.parquet")
    with pytest.raises(OptionError, match="memory_limit is 'much'"):
        scale.distinct(made, tmp_path / "distinct.parquet", memory_limit="much")
    assert [each.name for each in tmp_path.iterdir()] == ["manifest.json"]


def test_distinct_that_has_no_memory_ends_in_one_error_and_leaves_no_file(made, tmp_path, duckdb):
    with pytest.raises(DataError, match=r"DuckDB stopped: .*emory"):
        scale.distinct(made, tmp_path / "distinct.parquet", memory_limit="1MB", threads=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"threads": 0}, OptionError, "threads is 0; it must be an integer >= 1"),
        ({"threads": 10**6}, OptionError, "threads is 1000000"),
        ({"threads": "two"}, OptionTypeError, "threads is 'two'"),
        ({"spill": "/nowhere/at all"}, OptionError, "spill is '/nowhere/at all'; no folder"),
        ({"spill": __file__}, OptionError, "spill is .*; no folder"),
        ({"output": "folder"}, OptionError, "folder: is a folder; name a file"),
        ({"output": "folder/"}, OptionError, "folder/?: is a folder; name a file"),
    ],
)
def test_distinct_refuses_what_cannot_be_before_any_work(
    made, tmp_path, duckdb, monkeypatch, change, error, message
):
    def work(*_, **__):
        raise AssertionError

    monkeypatch.setattr(duckdb, "connect", work)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(error, match=message):
        scale.distinct(made, **{"output": "new/distinct.parquet"} | change)
    assert [each.name for each in tmp_path.rglob("*")] == ["folder"]


def test_distinct_takes_threads_and_a_folder_for_what_its_memory_does_not_hold(
    made, tmp_path, duckdb
):
    (tmp_path / "spill").mkdir()
    options = {"threads": np.int64(1), "spill": tmp_path / "spill"}
    found = scale.distinct(made, tmp_path / "one.parquet", **options)
    assert found == scale.distinct(made, tmp_path / "all.parquet")
    assert list((tmp_path / "spill").iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_scores_stand_beside_the_columns_of_each_file(made, tmp_path, workers):
    folder = tmp_path / "scored"
    manifest = scale.score(BIGRAM, made, folder, score_column="again", workers=workers)
    for file in sorted(made.glob("*.parquet")):
        before, after = pq.read_table(file), pq.read_table(folder / file.name)
        assert after.select(before.column_names).equals(before)
        texts = before["text"].to_pylist()
        expected = makemore.load(BIGRAM).score(texts)
        np.testing.assert_array_equal(after["again"].to_numpy(), expected)
    assert manifest.strings == sum(pq.read_table(file).num_rows for file in made.glob("*.parquet"))
    assert scale.verify(folder) == []


def write(folder, file, **columns):
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / file)


def states(*arguments, **options):
    found = {}
    scale.score(
        *arguments,
        workers=1,
        on_result=lambda result: found.update({result.shard.file: result.state}),
        **options,
    )
    return found


def test_a_file_that_has_changed_is_scored_again_and_another_kept(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "scored"
    write(source, "a.parquet", name=["ab"], id=[1])
    write(source, "b.parquet", name=["b"], id=[2])
    assert set(states(BIGRAM, source, folder, column="name").values()) == {"made"}
    write(source, "b.parquet", name=["a", "bb"], id=[2, 3])
    assert states(BIGRAM, source, folder, column="name") == {
        "a.parquet": "kept",
        "b.parquet": "made",
    }
    table = pq.read_table(folder / "b.parquet")
    np.testing.assert_array_equal(table["log_prob"], makemore.load(BIGRAM).score(["a", "bb"]))
    (folder / "a.parquet").write_bytes(b"PAR1")
    assert states(BIGRAM, source, folder, column="name")["a.parquet"] == "remade"
    (source / "b.parquet").unlink()
    assert states(BIGRAM, source, folder, column="name") == {"a.parquet": "kept"}
    assert scale.verify(folder) == ["b.parquet is no shard of the manifest"]
    with pytest.raises(OptionError, match="artifact"):
        states(FOLDER / "sparse", source, folder, column="name")


def test_what_cannot_be_scored_is_named_with_its_file_and_row(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "scored"
    with pytest.raises(DataError, match=r"holds no \.parquet files"):
        scale.score(BIGRAM, source, folder)
    write(source, "a.parquet", text=["ab", "Q"])
    with pytest.raises(OptionError, match=r"a\.parquet, rows from 1 on: string number 2: char"):
        scale.score(BIGRAM, source, folder, workers=1)
    scale.score(BIGRAM, source, tmp_path / "all", workers=1, on_unknown="-inf")
    assert pq.read_table(tmp_path / "all" / "a.parquet")["log_prob"][1].as_py() == -np.inf
    write(source, "a.parquet", text=["ab", None])
    with pytest.raises(DataError, match="row 2 has no string"):
        scale.score(BIGRAM, source, folder, workers=1)
    with pytest.raises(OptionError, match="another folder than their source"):
        scale.score(BIGRAM, source, source)
    write(source, "b.parquet", text=[1])
    with pytest.raises(DataError, match="column 'text' is int64; it must be string"):
        scale.score(BIGRAM, source, tmp_path / "new")
    write(source, "b.parquet", text=["a"], log_prob=[0.5])
    with pytest.raises(OptionError, match="name another score_column"):
        scale.score(BIGRAM, source, tmp_path / "new")
    with pytest.raises(DataError, match="no column 'name'"):
        scale.score(BIGRAM, source, tmp_path / "new", column="name")
    (source / "b.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match=r"b\.parquet: it is not Parquet"):
        scale.score(BIGRAM, source, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_page_that_is_broken_is_told_with_its_file(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "scored"
    write(source, "a.parquet", text=["ab"])
    write(source, "b.parquet", text=["ab", "b"])
    file = source / "b.parquet"
    data = file.read_bytes()
    file.write_bytes(data[:4] + b"\xff" * 30 + data[34:])
    with pytest.raises(DataError, match=r"b\.parquet: it cannot be read: "):
        scale.score(BIGRAM, source, folder, workers=1)
    assert {each.name for each in folder.iterdir()} == {"a.parquet", "manifest.json"}


def test_a_string_that_is_not_utf_8_is_told_with_its_file(tmp_path):
    offsets, data = np.array([0, 1, 2], dtype=np.int32), b"a\xff"
    texts = pa.StringArray.from_buffers(2, *map(pa.py_buffer, (offsets, data)))
    write(tmp_path / "source", "a.parquet", text=texts)
    with pytest.raises(DataError, match=r"a\.parquet, rows from 1 on: a string is not UTF-8"):
        scale.score(BIGRAM, tmp_path / "source", tmp_path / "scored", workers=1)


ROWS_FLAGS = ["--rows", 900, "--shard-rows", 400, "--workers", 1]


def test_the_command_makes_goes_on_and_tells_what_it_found(tmp_path, duckdb):
    folder = tmp_path / "made"
    out, _ = run(sample, BIGRAM, *ROWS_FLAGS, "-o", folder, "--min-length", 2)
    seed = scale.seed_of(folder)
    table = scale.shard(BIGRAM, 0, 900, seed=seed, min_length=2)
    assert f"strings {len(table)}\nrows 900\nseed {seed}\nfiles 3\nkept 0\nremade 0\n" in out
    assert f"digest {scale.digest(table)}\n" in out
    (folder / "rows-400-799.parquet").unlink()
    once = tmp_path / "once.parquet"
    again = ["-o", folder.as_uri(), "--min-length", 2, "--distinct", once, "--json"]
    facts = json.loads(run(sample, BIGRAM, *ROWS_FLAGS, *again)[0])
    assert facts == {
        "strings": len(table),
        "rows": 900,
        "seed": seed,
        "distinct_strings": len(set(table["text"].to_pylist())),
        "files": 3,
        "kept": 2,
        "remade": 1,
        "digest": scale.digest(table),
    }
    assert pq.read_table(once).num_rows == facts["distinct_strings"]


def test_the_command_scores_a_folder(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "scored"
    write(source, "a.parquet", name=["ab", "Q"])
    flags = ["--column", "name", "-o", folder, "--workers", 1]
    message = run(score, BIGRAM, source, *flags, code=2)[1]
    assert "string number 2: character 'Q'" in message
    folder = tmp_path / "all"
    facts = json.loads(
        run(score, BIGRAM, source, *flags, "-o", folder, "--keep-going", "--json")[0]
    )
    assert (facts["strings"], facts["files"]) == (2, 1)
    assert pq.read_table(folder / "a.parquet")["log_prob"][1].as_py() == -np.inf


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (sample, ["--rows", 5], "--rows writes to a folder: name it with -o"),
        (sample, ["--rows", 5, "-o", "x", "-n", 3], "-n has no meaning with --rows"),
        (sample, ["--rows", 5, "-o", "x", "--unique"], "--unique has no meaning with --rows"),
        (sample, ["--rows", 5, "-o", "x", "--threads", 2], "--threads has no meaning with --rows"),
        (sample, ["--workers", 2], "--workers has no meaning without --rows"),
        (sample, ["--ray"], "--ray has no meaning without --rows"),
        (sample, ["-o", "s3://bucket/x"], "s3://bucket/x: one table is written to a file"),
        (score, [FOLDER, "-o", "x", "--tokens"], "--tokens has no meaning for a folder"),
        (score, [FOLDER], "is a folder; its scoring writes to a folder: name it with -o"),
        (score, [__file__, "--workers", 2], "--workers has no meaning but for a folder"),
    ],
)
def test_flags_that_do_not_go_together_are_told(command, arguments, message):
    assert message in run(command, BIGRAM, *arguments, code=2)[1]
