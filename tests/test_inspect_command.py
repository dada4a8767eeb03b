import json
import subprocess
import sys
from pathlib import Path

import makemore
import onnx
import oracle
import pytest
import tiny_models
from commands import run
from makemore import _core
from makemore.commands import doctor
from makemore.runtime.onnxruntime_library import find_library, open_library
from makemore_export.commands.inspect import main as inspect
from tiny_artifacts import FOLDER, build


def test_an_artifact_is_shown_and_its_golden_samples_are_replayed(tiny):
    report = json.loads(run(inspect, FOLDER / tiny.name, "--json")[0])
    assert report["model"] == tiny.name
    assert report["characters"] == "".join(tiny.characters)
    assert report["states"].keys() == {state.name for state in tiny.states}
    assert report["golden samples"] == {"replayed": 20, "of": 20}
    assert report["fingerprints of lines"] == 0
    text, err = run(inspect, FOLDER / tiny.name)
    assert err == ""
    assert all(key in text for key in report)


def test_a_line_end_among_the_characters_is_escaped_in_text_alone(tmp_path):
    model = build(tiny_models.CACHE)
    metadata = json.loads(model.metadata_props[0].value)
    metadata["tokens"][0] = "\n"
    metadata["golden"]["strings"] = []
    model.metadata_props[0].value = json.dumps(metadata)
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(model.SerializeToString())
    text, _ = run(inspect, artifact)
    [row] = [line for line in text.splitlines() if line.startswith("characters")]
    assert row.split(maxsplit=1)[1] == r"\nbc"
    assert json.loads(run(inspect, artifact, "--json")[0])["characters"] == "\nbc"


def test_what_may_follow_is_told_of_a_label():
    labels = FOLDER / "schema-3" / "labels"
    sampler = makemore.load(labels)
    for label in sampler.artifact.labels:
        out, _ = run(inspect, labels, "--next", "an", "--label", label, "--json")
        expected = sampler.next_tokens("an", label=label)
        found = json.loads(out)[f"after 'an' of {label!r}"]
        assert [*found.values()] == [each.probability for each in expected]
    assert "none of this model's" in run(inspect, labels, "--next", "", "--label", "x", code=2)[1]


def test_options_that_would_do_nothing_are_refused(tmp_path):
    (tmp_path / "best.safetensors").touch()
    for source, words, message in (
        (FOLDER / "bigram", ["--encoding", "utf-8"], "--encoding is for a run folder or its best"),
        (tmp_path, ["--trust"], "--trust is for an artifact, not"),
        (FOLDER / "bigram", ["--label", "x"], "--label is for --next"),
    ):
        assert message in run(inspect, source, *words, code=2)[1]


@pytest.mark.parametrize("words", [(), (FOLDER / "bigram",)], ids=["environment", "artifact"])
def test_inspect_works_where_pytorch_is_not_installed(words):
    code = """
import sys
sys.modules |= dict.fromkeys(("torch", "onnx", "safetensors", "matplotlib"))
from makemore_export.commands.inspect import main
main(sys.argv[1:])
"""
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def changed(folder, old, new):
    """The self-test's artifact with its metadata changed."""
    model = build(tiny_models.CACHE)
    text = model.metadata_props[0].value
    assert old in text
    model.metadata_props[0].value = text.replace(old, new)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


def test_golden_samples_that_differ_are_counted_and_the_exit_code_is_1(tmp_path):
    artifact = changed(tmp_path, '"seed":1,"strings"', '"seed":2,"strings"')
    report = json.loads(run(inspect, artifact, "--json", code=1)[0])
    assert report["golden samples"]["replayed"] < 20


def test_a_broken_file_is_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"hello")
    assert "cannot load" in run(inspect, tmp_path, code=2)[1]


def test_every_option_is_explained_in_the_help():
    text, _ = run(inspect, "--help")
    options = [each for each in inspect.params if each.param_type_name == "option"]
    assert all(option.opts[0] in text for option in options)


def test_without_an_artifact_the_environment_is_shown_and_the_self_test_passes():
    report = json.loads(run(inspect, "--json")[0])
    assert report["onnxruntime"] == open_library().version
    assert report["onnxruntime library"] == str(find_library())
    assert "CPUExecutionProvider" in report["onnxruntime providers"]
    assert set(report["self-test"].values()) == {"passed"}
    assert report["self-test"].keys() == {"coins", "scores", "samples", "threads"}
    assert report["works"] is True
    text, err = run(inspect)
    assert err == ""
    assert all(key in text for key in report)


def test_the_committed_self_test_is_what_its_script_writes():
    assert onnx.load(doctor.SELF_TEST) == build(tiny_models.CACHE)


def test_the_self_test_knows_what_the_oracle_gives():
    cache = tiny_models.CACHE
    golden = makemore.load(doctor.SELF_TEST).artifact.golden.strings
    scores = [oracle.score(cache.logits, cache.encode(string)) for string in golden]
    assert pytest.approx(sum(scores), rel=1e-12) == doctor.LOG_PROB
    assert oracle.coin(0, 0, 0) == doctor.COIN


def failures(what="self-test"):
    """What a failed self-test says, in JSON and in text; its exit code must be 1."""
    report = json.loads(run(inspect, "--json", code=1)[0])
    assert report["works"] is False
    failed = {test: result for test, result in report[what].items() if result != "passed"}
    assert all(f"{test}: {result}" in run(inspect, code=1)[0] for test, result in failed.items())
    return failed


def test_a_wrong_coin_fails_the_self_test(monkeypatch):
    monkeypatch.setattr(_core, "coin", lambda seed, row, position: 0.5)
    assert failures() == {"coins": "failed: coin(0, 0, 0) is 0.5, not 0.8805201978886142"}


def test_wrong_logits_fail_the_self_test(monkeypatch):
    bigram = FOLDER / "bigram" / "model.onnx"
    monkeypatch.setattr(doctor, "SELF_TEST", bigram)
    assert failures().keys() == {"scores"}


def test_wrong_samples_fail_the_self_test(monkeypatch, tmp_path):
    artifact = changed(tmp_path, '"seed":1,"strings"', '"seed":2,"strings"')
    monkeypatch.setattr(doctor, "SELF_TEST", artifact)
    (result,) = failures().values()
    assert result.startswith("failed: [")
    assert "not ['cabbbcc', 'cccb', " in result
    assert result.endswith("at batch size 1")


def test_threads_that_change_strings_fail_the_self_test(monkeypatch):
    def load(path, *, device, threads):
        return makemore.load(FOLDER / "bigram" if threads > 1 else path, threads=threads)

    monkeypatch.setattr(doctor, "load", load)
    assert failures() == {"threads": "failed: other strings on 4 threads than on one"}


def test_a_self_test_that_does_not_load_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "SELF_TEST", tmp_path / "model.onnx")
    assert failures() == {"model": f"failed: {tmp_path / 'model.onnx'}: no such file"}


def test_a_cuda_that_is_there_but_runs_nothing_fails_the_self_test(monkeypatch):
    def load(path, *, device, threads):
        if device == "cuda":
            raise makemore.OrtError("no CUDA-capable device is detected")
        return makemore.load(path, threads=threads)

    monkeypatch.setattr(doctor, "_cuda", lambda library: "available")
    monkeypatch.setattr(doctor, "load", load)
    failed = {"model": "failed: no CUDA-capable device is detected"}
    assert failures("self-test on cuda") == failed


def test_without_onnxruntime_the_cure_is_named_and_the_exit_code_is_1(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    report = json.loads(run(inspect, "--json", code=1)[0])
    cure = "no onnxruntime is installed: pip install 'makemore[cpu]'"
    assert report["onnxruntime error"].startswith(cure)
    assert report["works"] is False
    assert cure in run(inspect, code=1)[0]


@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        ({"flags": "fpu sse2 avx avx2 fma avx512f"}, ["avx2", "fma", "avx512f"]),
        ({"Features": "fp asimd evtstrm sve"}, ["neon", "sve"]),
    ],
)
def test_vector_extensions_are_named(monkeypatch, cpuinfo, features):
    monkeypatch.setattr(doctor, "_cpuinfo", lambda key: cpuinfo.get(key, ""))
    assert doctor.describe_environment()["cpu features"] == features


def test_vector_extensions_are_told_where_the_system_is_not_linux(monkeypatch):
    monkeypatch.setattr(doctor, "_cpuinfo", lambda key: "")
    assert doctor.describe_environment()["cpu features"]


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux tells")
def test_there_is_vector_code_for_what_the_processor_can():
    needed = {
        "x86-64-v4-vnni": {"avx512f", "avx512_vnni"},
        "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
        "x86-64-v3": {"avx2", "bmi1", "bmi2", "fma", "f16c", "movbe", "abm"},
        "neon": {"asimd"},
    }
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    kernels = [kernel for kernel, features in needed.items() if features <= flags]
    assert doctor.describe_environment()["vector code for"] == kernels
