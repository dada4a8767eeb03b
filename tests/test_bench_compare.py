import json
from pathlib import Path

import msgspec
import pytest
from commands import run
from makemore.commands.bench.command import bench
from makemore.commands.bench.compare import compare, read_record
from makemore.commands.bench.result import (
    Bench,
    Latency,
    Memory,
    Percentiles,
    Spread,
    Startup,
    Throughput,
)
from test_bench_command import BIGRAM, QUICK

OLD = Path("old.json")


def spread(median):
    return Spread(median=median, min=median / 2, max=2 * median)


def record(slower=1.0, *, settings=((1, 1), (256, 2)), memory=True, **environment):
    """One whose times are so many times as long."""
    times = Percentiles(p50=10 * slower, p90=20 * slower, p99=30 * slower)
    rows = [
        Throughput(
            batch_size=batch_size,
            threads=threads,
            n=64,
            names_per_second=spread(100 * batch_size / slower),
            tokens_per_second=spread(700 * batch_size / slower),
        )
        for batch_size, threads in settings
    ]
    load = spread(4 * slower)
    peak = Memory(load, load, load) if memory else None
    return Bench(
        artifact="names",
        model="lstm",
        parameters=1000,
        device="cpu",
        environment={"machine": "a", "onnxruntime": "1.20.1"} | environment,
        repeats=3,
        latency=Latency(calls=5, name_us=times, token_us=times, cold_name_us=times),
        throughput=rows,
        startup=Startup(first_load_ms=load, later_load_ms=load, first_name_ms=load, peak_mib=peak),
    )


def test_every_figure_of_a_machine_twice_as_fast_has_the_ratio_2():
    ratios = compare(record(), record(2.0), OLD).ratios
    assert {row.median for row in ratios} == {2.0}
    assert {"a name, p50", "names/s, batch size 256, threads 2", "first load", "memory"} <= {
        row.figure for row in ratios
    }


def test_a_ratio_is_between_those_of_the_slowest_and_the_fastest_rounds():
    [row] = [row for row in compare(record(), record(), OLD).ratios if row.figure == "first load"]
    assert (row.median, row.min, row.max) == (1.0, 0.25, 4.0)


def test_quantiles_of_single_calls_have_no_spread():
    [row] = [
        row for row in compare(record(), record(3.0), OLD).ratios if row.figure == "a name, p99"
    ]
    assert (row.median, row.min, row.max) == (3.0, None, None)


def test_settings_and_figures_that_one_record_lacks_are_left_out():
    new, old = record(settings=[(1, 1), (32, 1)]), record(settings=[(1, 1), (8, 1)], memory=False)
    figures = {row.figure for row in compare(new, old, OLD).ratios}
    assert {name for name in figures if "batch" in name} == {
        "names/s, batch size 1, threads 1",
        "tokens/s, batch size 1, threads 1",
    }
    assert "memory" not in figures


def test_another_machine_or_version_is_told():
    compared = compare(record(onnxruntime="1.32.0", cores=4), record(machine="b", torch="2"), OLD)
    assert compared.differs == {
        "machine": ("b", "a"),
        "onnxruntime": ("1.20.1", "1.32.0"),
        "cores": (None, 4),
        "torch": ("2", None),
    }
    assert compare(record(date="2026-01-02"), record(5.0, date="2026-01-01"), OLD).differs == {}


def test_bench_compares_with_what_it_wrote_before(tmp_path):
    old = tmp_path / "old.json"
    old.write_text(run(bench, BIGRAM, *QUICK, "--json")[0], encoding="utf-8")
    out, _ = run(bench, BIGRAM, *QUICK, "--compare", old)
    assert "a name, p50" in out.partition(f"Times as fast as in {old}")[2]
    assert "differs" not in out
    found = json.loads(run(bench, BIGRAM, *QUICK, "--compare", old, "--json")[0])
    assert found["compared"]["old"] == str(old)
    assert len(found["compared"]["ratios"]) == 6 + 2 * 4 + 3 + bool(found["startup"]["peak_mib"])


def test_a_comparison_is_itself_a_record_to_compare_with(tmp_path):
    path = tmp_path / "old.json"
    compared = compare(record(), record(2.0), OLD)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(record(), compared=compared)))
    assert {row.median for row in compare(record(), read_record(path), path).ratios} == {1.0}


def test_bench_shows_what_differs_and_ends_well(tmp_path):
    path = tmp_path / "old.json"
    path.write_bytes(msgspec.json.encode(record(makemore="0.0.1")))
    out, _ = run(bench, BIGRAM, *QUICK, "--compare", path)
    assert "model differs: lstm before, bigram now\n" in out
    assert "makemore differs: 0.0.1 before" in out


GOOD = msgspec.json.encode(record())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "not a record of mm-bench: "),
        (b"[1]", "not a record of mm-bench: Expected `object`, got `array`"),
        (b"{}", "not a record of mm-bench: Object missing required field `artifact`"),
        (b"\xff\xfe", "not a record of mm-bench: "),
        (b"[" * 100_000, "not a record of mm-bench: "),
        (GOOD.replace(b'"p50":10.0', b'"p50":0'), "Expected `float` > 0"),
        (GOOD.replace(b'"environment":{', b'"environment":' + b'{"a":' * 5000), "not a record"),
    ],
)
def test_a_file_that_is_no_record_is_one_line_and_exit_code_2(tmp_path, content, message):
    path = tmp_path / "old.json"
    if content is not None:
        path.write_bytes(content)
    err = run(bench, BIGRAM, "--compare", path, code=2)[1]
    assert message in err
    assert str(path) in err
    assert err.count("\n") == 1
