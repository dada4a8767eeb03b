import json
import subprocess
import sys
from importlib.metadata import version
from itertools import product
from typing import NamedTuple

import makemore
import pytest
from click.testing import CliRunner
from commands import run
from makemore import OrtError, Sampler
from makemore.commands.bench.command import bench
from makemore.commands.bench.measure import (
    FRESH,
    SEED,
    find_common_prefixes,
    measure,
    measure_latency,
    measure_startup,
    measure_throughput,
)
from makemore.commands.bench.result import Percentiles, Spread, Throughput
from test_device_decode import on_device
from tiny_artifacts import FOLDER

BIGRAM = str(FOLDER / "bigram")
QUICK = ("--seconds", 0.01, "--repeats", 2, "-n", 70, "--batch-size", "8,4", "--threads", "2,1")
SETTINGS = [(4, 1), (8, 1), (4, 2), (8, 2)]  # batch size, threads


class Call(NamedTuple):
    sampler: Sampler
    n: int
    first_row: int
    batch_size: int


class Watch:
    """Sees every call of `Sampler.sample`, and says how long it takes on a clock of its own."""

    def __init__(self, monkeypatch, seconds):
        self.now = 0.0
        self.calls = []
        really = Sampler.sample

        def sample(sampler, n, *, seed, first_row, min_length=0, batch_size=512):
            assert seed == SEED
            call = Call(sampler, n, first_row, batch_size)
            self.calls.append(call)
            self.now += seconds(call)
            return really(
                sampler,
                n,
                seed=seed,
                first_row=first_row,
                min_length=min_length,
                batch_size=batch_size,
            )

        monkeypatch.setattr(Sampler, "sample", sample)
        monkeypatch.setattr("makemore.commands.bench.measure.perf_counter", lambda: self.now)


def same(microseconds):
    return Percentiles(p50=microseconds, p90=microseconds, p99=microseconds)


def test_latency_is_of_a_new_name_each_call_and_leaves_the_warm_up_out(monkeypatch, bigram):
    watch = Watch(monkeypatch, lambda call: 1.0 if call.first_row == 0 else 2**-10)
    latency = measure_latency(bigram, 2.0)
    rows = [call.first_row for call in watch.calls if call.sampler is bigram]
    assert rows == [*range(1 + 1024)]  # warmed up after the first, then a second long
    assert {call.n for call in watch.calls} == {1}
    assert latency.calls == 1024
    assert latency.name_us == same(1e6 / 1024)


def test_latency_shows_that_a_call_in_twenty_is_slow(monkeypatch, bigram):
    Watch(monkeypatch, lambda call: 2**-10 if call.first_row % 20 else 2**-8)
    fast, slow = 1e6 / 1024, 1e6 / 256
    assert measure_latency(bigram, 4.0).name_us == Percentiles(p50=fast, p90=fast, p99=slow)


def test_latency_of_a_token_counts_a_stop_and_no_stop_where_a_name_is_cut(monkeypatch):
    sampler = makemore.load(FOLDER / "cache", threads=1)
    lengths = [len(text) for text in sampler.sample(1000, seed=SEED, min_length=0)]
    assert {0, 6, 7} <= {*lengths}  # of 7 it is cut
    watch = Watch(monkeypatch, lambda call: min(lengths[call.first_row] + 1, 7) * 2**-10)
    latency = measure_latency(sampler, 2.0)
    assert latency.token_us == same(1e6 / 1024)
    assert len(watch.calls) > latency.calls > 10


def test_latency_of_first_names_is_of_as_many_samplers(monkeypatch, bigram):
    seconds = iter(2.0**-i for i in (1, 2, 3, 3))
    watch = Watch(monkeypatch, lambda call: 2.0**-10 if call.sampler is bigram else next(seconds))
    cold = measure_latency(bigram, 2.0).cold_name_us
    samplers = [call.sampler for call in watch.calls if call.sampler is not bigram]
    assert len({*map(id, samplers)}) == 4
    assert cold.p50 == 1e6 * (2**-2 + 2**-3) / 2


def test_a_device_is_measured_by_its_own_decode_and_once(monkeypatch):
    def host_decode(*_, **__):
        raise AssertionError("the host decoded")

    monkeypatch.setattr(Sampler, "decode", host_decode)
    monkeypatch.setattr(
        "makemore.commands.bench.measure.load",
        lambda *_, **__: on_device(FOLDER / "bigram" / "model.onnx"),
    )
    monkeypatch.setattr("makemore.commands.bench.measure.measure_startup", lambda *_, **__: None)
    found = measure(BIGRAM, batch_sizes=(4, 8), threads=(1, 3), n=10, repeats=1, seconds=0.1)
    assert [(row.batch_size, row.threads) for row in found.throughput] == [(4, 1), (8, 1)]


def test_common_prefixes_are_found_before_throughput_is_measured(monkeypatch):
    sampler = makemore.load(FOLDER / "cache", threads=1)
    assert not sampler.common_prefixes.has_all
    find_common_prefixes(sampler, 60)
    assert sampler.common_prefixes.has_all
    watch = Watch(monkeypatch, lambda _: 1.0)
    find_common_prefixes(sampler, 60)
    assert not watch.calls


def test_common_prefixes_are_looked_for_no_longer_than_told(monkeypatch):
    sampler = makemore.load(FOLDER / "cache", threads=1)
    monkeypatch.setattr(type(sampler.common_prefixes), "has_all", False)
    watch = Watch(monkeypatch, lambda _: 1.0)
    find_common_prefixes(sampler, 3.0)
    assert len(watch.calls) == 3


def throughput(monkeypatch, cost, **options):
    """Four settings, on one and two threads."""
    samplers = [makemore.load(BIGRAM, threads=threads) for threads in (1, 2)]
    watch = Watch(monkeypatch, cost)
    return measure_throughput(samplers, (4, 8), **options), watch.calls


def test_throughput_is_the_median_of_rounds_and_leaves_the_warm_up_out(monkeypatch):
    def cost(call):
        rate = 1024 * call.batch_size * call.sampler.threads
        slower = 64 if call.first_row < 10 else 2 ** ((call.first_row - 10) // 10)
        return slower * call.n / rate

    rows, _ = throughput(monkeypatch, cost, n=10, repeats=3, seconds=1.0)
    assert [(row.batch_size, row.threads) for row in rows] == SETTINGS
    for row in rows:
        rate = 1024 * row.batch_size * row.threads
        assert row.n == 10
        assert row.names_per_second == Spread(median=rate / 2, min=rate / 4, max=rate)


def test_throughput_in_tokens_counts_stops(monkeypatch):
    rows, _ = throughput(monkeypatch, lambda _: 1.0, n=100, repeats=1, seconds=1.0)
    sampler = makemore.load(BIGRAM)
    texts = sampler.sample(100, seed=SEED, first_row=100)
    tokens = sum(min(len(text) + 1, sampler.artifact.max_length) for text in texts)
    assert {row.tokens_per_second.median for row in rows} == {tokens}


def test_throughput_gives_each_setting_the_same_names_in_a_round_and_others_in_the_next(
    monkeypatch,
):
    _, calls = throughput(monkeypatch, lambda _: 1.0, n=10, repeats=2, seconds=1.0)
    made = [(call.first_row, call.n, call.batch_size, call.sampler.threads) for call in calls]
    assert made == [(row, 10, *setting) for row, setting in product((0, 10, 20), SETTINGS)]


@pytest.mark.parametrize(
    ("name_seconds", "n"),
    [(2**-10, 512), (1.01 * 2**-10, 256), (1.0, 8)],  # 4 settings, 2 rounds, 4 s; a batch is 8
)
def test_throughput_is_of_as_many_names_as_the_seconds_allow(monkeypatch, name_seconds, n):
    rows, _ = throughput(
        monkeypatch, lambda call: call.n * name_seconds, n=None, repeats=2, seconds=4.0
    )
    assert {row.n for row in rows} == {n}


def startup(path=BIGRAM):
    return measure_startup(path, "cpu", threads=2, n=300, batch_size=4, repeats=1)


def test_a_fresh_process_ignores_a_program_of_the_same_name_in_its_folder(monkeypatch, tmp_path):
    (tmp_path / "makemore.py").write_text("raise SystemExit('the wrong one')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = startup()
    assert found.first_name_ms.median > found.first_load_ms.median > 0


def test_a_fresh_process_that_fails_is_an_error_of_one_line():
    with pytest.raises(OrtError, match=r"^a fresh process ended with 1: .*none: no such file$"):
        startup("none")


def test_the_peak_of_memory_is_that_of_the_process_alone():
    ours = b"x" * 2**28
    code = "from makemore.commands.bench.process import peak_mib; print(peak_mib(), end=' ');"
    code += "more = b'x' * 2**26; print(peak_mib())"
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    if out == "None None\n":
        pytest.skip("this system does not tell")
    before, after = map(float, out.split())
    assert 1 < before < len(ours) / 2**20
    assert after > before + 60


def test_memory_is_left_out_where_the_system_does_not_tell(monkeypatch):
    unknown = "import makemore.commands.bench.process as started; started.peak_mib = lambda: None\n"
    monkeypatch.setattr(
        "makemore.commands.bench.measure.FRESH", FRESH.replace("main(*", f"{unknown}main(*")
    )
    assert startup().peak_mib is None
    out, _ = run(bench, BIGRAM, *QUICK)
    assert "first load, ms" in out
    assert "MiB" not in out


def test_bench_in_json_is_one_object_with_what_the_figures_depend_on():
    out, err = run(bench, BIGRAM, *QUICK, "--json", "--device", "auto")
    found = json.loads(out)
    assert (found["artifact"], found["model"], found["repeats"]) == (BIGRAM, "bigram", 2)
    assert found["parameters"] == makemore.load(BIGRAM).artifact.model.parameters
    assert found["device"] == makemore.load(BIGRAM, device="auto").device
    assert found["environment"]["makemore"] == version("makemore")
    assert found["environment"].keys() >= {"python", "onnxruntime", "machine", "cores"}
    assert [(row["batch_size"], row["threads"]) for row in found["throughput"]] == SETTINGS
    assert {row["n"] for row in found["throughput"]} == {70}
    assert "round 2 of 2" in err


def test_bench_in_tables_shows_each_setting():
    out, _ = run(bench, BIGRAM, *QUICK)
    assert out.startswith(f"{BIGRAM}: bigram, ")
    cells = [[cell.strip() for cell in line.split("|")] for line in out.splitlines()]
    assert [row[1:3] for row in cells if len(row) == 8][2:] == [
        [str(batch_size), str(threads)] for batch_size, threads in SETTINGS
    ]
    assert all(word in out for word in ("p99", "a token", "first name", "70 names a call"))


def test_bench_measures_on_one_thread_and_on_all_cores_unless_told(monkeypatch):
    monkeypatch.setattr("makemore.commands.bench.command.usable_cores", lambda: 3)
    out, _ = run(bench, BIGRAM, *QUICK[:-2], "--json")
    assert [row["threads"] for row in json.loads(out)["throughput"]] == [1, 1, 3, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: no such file"),
        ([BIGRAM, "--batch-size", "4,0"], "batch_size is 0; it must be >= 1"),
        ([BIGRAM, "--batch-size", "4;8"], "--batch-size is '4;8'; it must be numbers such as 1,2"),
        ([BIGRAM, "--threads", "-1"], "threads is -1"),
        ([BIGRAM, "--threads", "1,"], "--threads is '1,'"),
        ([BIGRAM, "--repeats", "0"], "repeats is 0"),
        ([BIGRAM, "-n", "0"], "n is 0"),
        ([BIGRAM, "--seconds", "0"], "seconds is 0; it must be a finite number > 0"),
        ([BIGRAM, "--seconds", "nan"], "seconds is nan"),
        ([BIGRAM, "--seconds", "inf"], "seconds is inf"),
    ],
)
def test_bad_input_to_bench_is_one_line_and_exit_code_2(arguments, message):
    assert message in run(bench, *arguments, code=2)[1]


def test_ctrl_c_ends_bench_with_130(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Sampler, "sample", interrupted)
    assert CliRunner().invoke(bench, [BIGRAM]).exit_code == 130


def test_bench_imports_no_torch_and_no_matplotlib():
    code = "import sys\nfrom makemore.commands.bench.command import bench\n"
    code += "bench(sys.argv[1:], standalone_mode=False)\n"
    code += "assert not {'torch', 'matplotlib', 'makemore_export'} & set(sys.modules)\n"
    subprocess.run([sys.executable, "-c", code, BIGRAM, *map(str, QUICK)], check=True)


def test_a_plot_without_matplotlib_is_refused_before_anything_is_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "makemore.commands.bench.plot", raising=False)
    _, err = run(bench, BIGRAM, "--plot", "x.png", code=2)
    assert "matplotlib is needed: pip install matplotlib, or 'makemore[export]'" in err


def test_a_plot_in_no_folder_is_refused_before_anything_is_measured(tmp_path):
    pytest.importorskip("matplotlib")
    _, err = run(bench, BIGRAM, "--plot", tmp_path / "none" / "x.png", code=2)
    assert "none: no such folder" in err


def test_bench_writes_its_plot_as_png(tmp_path):
    pytest.importorskip("matplotlib")
    run(bench, BIGRAM, *QUICK, "--plot", tmp_path / "plot")
    assert (tmp_path / "plot").read_bytes().startswith(b"\x89PNG")


def test_the_plot_has_a_line_of_medians_for_each_thread_count():
    pytest.importorskip("matplotlib")
    from makemore.commands.bench.plot import throughput_plot

    rows = [
        Throughput(
            batch_size=batch_size,
            threads=threads,
            n=8,
            names_per_second=Spread(median=10 * batch_size + threads, min=1, max=99),
            tokens_per_second=Spread(median=0, min=0, max=0),
        )
        for batch_size, threads in SETTINGS
    ]
    [axes] = throughput_plot(rows, "$a title").axes
    assert axes.get_title() == "$a title"
    lines = {bars.get_label(): bars.lines[0].get_xydata() for bars in axes.containers}
    assert lines["1 thread"].tolist() == [[4, 41], [8, 81]]
    assert lines["2 threads"].tolist() == [[4, 42], [8, 82]]
    bars = axes.containers[0].lines[2][0].get_segments()
    assert [segment[:, 1].tolist() for segment in bars] == [[1, 99], [1, 99]]
