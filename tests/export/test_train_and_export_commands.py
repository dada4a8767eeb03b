"""`mm-train` and `mm-export`, as a user meets them."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time

import makemore
import pytest
import torch
from click.testing import CliRunner
from makemore.errors import ExportError
from makemore_export.commands import progress_display
from makemore_export.commands.export import main as mm_export
from makemore_export.commands.train import main as mm_train
from makemore_export.packing import artifact_folder
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.runs.target_lock import locked
from small_runs import LINES

TRANSFORMER = ("--model", "transformer")
_SIZES = "--n-layer 1 --n-embd 8 --n-head 2 --max-steps 3 --batch-size 8 --device cpu"
SMALL = [*TRANSFORMER, *_SIZES.split()]


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("\n".join((*LINES, "", LINES[0])))


def run(command, *words):
    """The result of a command, whose error, if any, was an expected one."""
    result = CliRunner().invoke(command, words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refusal(command, *words):
    """The one line on stderr with which a command refuses."""
    result = run(command, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr.splitlines()[-1]


def test_train_tells_how_it_goes_and_what_to_do_next(tmp_path):
    result = run(mm_train, "text.txt", "-o", "run", *SMALL)
    assert (result.exit_code, result.stdout) == (0, "mm-export run -o ARTIFACT\n")
    head, model, size, few, first, trained, samples, *_ = result.stderr.splitlines()
    assert few.startswith("warning: dev has 7 lines, too few")
    assert head == (
        "text.txt: 64 lines; 1 blank lines dropped; 1 duplicates dropped; "
        "train 51, dev 7, test 6; 11 characters"
    )
    assert model.startswith("transformer: ")
    assert size == "expected size: 5 kB each for the checkpoint, model.onnx and model.ts"
    assert first.startswith("first loss 2.4")
    assert first.endswith("ln 12 = 2.4849")
    assert trained.startswith("step      3  train 2.")
    assert samples.count(", ") == 7
    assert RunFolder(tmp_path / "run").latest().progress.finished


def test_files_that_will_be_large_are_told_before_training(monkeypatch):
    monkeypatch.setattr(progress_display, "_LARGE", 3000)
    options = ["--model", "blend", "--part", "ngram:order=4", "--part", "gru:n_hidden=2,n_embd=2"]
    result = run(mm_train, "text.txt", "-o", "run", *options, "--max-steps", "1")
    _, _, size, *_ = result.stderr.splitlines()
    assert re.fullmatch(
        r"expected size: \d+ kB each for the checkpoint, model.onnx and model.ts; warning: that is "
        "large; a lower --order of the ngram, or fewer distinct characters, make it smaller; "
        "mm-export --no-torchscript leaves out model.ts",
        size,
    )
    run(mm_export, "text.txt", "-o", "names", *SMALL)
    finished = run(mm_export, "text.txt", "-o", "names", *SMALL)
    assert "expected size" not in finished.stderr


def test_train_tells_what_it_met_in_the_file(tmp_path):
    text = "\n".join([*LINES, "JosÃ©"])
    (tmp_path / "text.txt.gz").write_bytes(gzip.compress(text.encode("utf-16")))
    shown = run(mm_train, "text.txt.gz", "-o", "run", "--model", "bigram").stderr.splitlines()
    head = shown[0]
    warning = next(line for line in shown if line.startswith("warning: 1 lines look"))
    assert warning == (
        "warning: 1 lines look like UTF-8 that was read as another encoding, such as 'JosÃ©' for "
        "'José': the file itself is so; the package ftfy mends it"
    )
    assert head.startswith("text.txt.gz: 65 lines; unpacked from gzip; UTF-16; ")


def test_latin_1_that_is_utf_8_is_told(tmp_path):
    (tmp_path / "utf8.txt").write_text("\n".join([*LINES, "José"]), encoding="utf-8")
    words = ["utf8.txt", "-o", "run", "--model", "bigram", "--encoding", "latin-1"]
    assert "the file may be UTF-8, not latin-1" in run(mm_train, *words).stderr


def test_a_text_is_read_from_standard_input(tmp_path):
    text = (tmp_path / "text.txt").read_bytes()
    words = ["--model", "bigram", "--samples", "0"]
    for source in ("text.txt", "-"):
        done = CliRunner().invoke(mm_export, [source, "-o", f"out{source}", *words], input=text)
        assert done.exit_code == 0, done.output
    again = CliRunner().invoke(mm_train, ["-", "-o", "out-.run", "--resume"], input=text)
    assert again.exit_code == 0
    words = ["out-.run", "-o", "out", "--text", "-"]
    assert "fingerprints of " in CliRunner().invoke(mm_export, words, input=text).stdout
    plain, piped = (makemore.load(tmp_path / f"out{name}").artifact for name in ("text.txt", "-"))
    assert (plain.golden, piped.training.data.name) == (piped.golden, "stdin")


def test_a_run_keeps_how_its_text_is_read(tmp_path):
    rows = "".join(f"{i % 2};{line.upper()}\n" for i, line in enumerate(LINES))
    (tmp_path / "table.csv").write_text("sex;name\n" + rows, encoding="utf-16")
    assert (
        "read as lines; a column"
        in run(mm_train, "table.csv", "-o", "lines", "--model", "bigram").stderr
    )
    words = ["--column", "name", "--label-column", "sex", "--lower", "--nfc"]
    first = run(mm_train, "table.csv", "-o", "run", "--model", "bigram", *words)
    assert "table.csv: 64 lines; column name; UTF-16; " in first.stderr
    assert first.stderr.splitlines()[0].endswith("11 characters; labels: 0, 1")
    assert run(mm_train, "table.csv", "-o", "run", "--resume").exit_code == 0
    other = refusal(mm_train, "table.csv", "-o", "run", "--resume", "--column", "sex")
    assert "column name, now sex" in other
    export = ["run", "-o", "names", "--text", "table.csv"]
    assert "fingerprints of 64 lines" in run(mm_export, *export).stdout
    assert makemore.load(tmp_path / "names").sample(1, seed=1, label="1")
    assert run(mm_export, *export, "--lower").exit_code == 0
    assert "column name, now sex" in refusal(mm_export, *export, "--column", "sex")


def test_a_run_that_goes_on_with_its_text_under_another_name_stays_one_run(tmp_path):
    run(mm_train, "text.txt", "-o", "run", *SMALL)
    before = RunFolder(tmp_path / "run").latest().run
    (tmp_path / "text.txt").rename(tmp_path / "other.txt")
    assert run(mm_train, "other.txt", "-o", "run", "--resume").exit_code == 0
    assert RunFolder(tmp_path / "run").latest().run == before


def test_what_is_no_text_is_named(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "model.pt")
    refused = refusal(mm_train, "model.pt", "-o", "run")
    assert "model.pt: is a PyTorch checkpoint; a text is needed" in refused


def test_train_gives_json(tmp_path):
    result = json.loads(
        run(mm_train, "text.txt", "-o", "run", "--model", "bigram", "--json").stdout
    )
    assert (result["model"], result["steps"]) == ("bigram", 0)
    assert set(result["losses"]) == {"train", "dev", "test"}
    assert (tmp_path / result["checkpoint"]).exists()


def test_an_error_is_a_plain_line_with_json_too():
    words = ("text.txt", "-o", "run", *TRANSFORMER, "--device", "cpu", "--json")
    result = run(mm_train, "missing.txt", *words[1:])
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch("Error: missing.txt: cannot be read: .*\n", result.stderr)


def test_train_goes_on_with_the_options_of_the_run_only():
    run(mm_train, "text.txt", "-o", "run", *SMALL, "--seed", "5", "--split", "90/10")
    assert run(mm_train, "text.txt", "-o", "run", "--resume").exit_code == 0
    assert "holds a run already" in refusal(mm_train, "text.txt", "-o", "run", *SMALL)
    assert "seed 5, now 6" in refusal(mm_train, "text.txt", "-o", "run", "--resume", "--seed", "6")
    other_text = refusal(mm_train, "-o", "run", "--resume")
    assert "run: holds the run of another text: text.txt" in other_text
    assert "holds no run to resume" in refusal(mm_train, "text.txt", "-o", "new", "--resume")


def test_a_blend_goes_on_as_it_began():
    parts = ("--part", "bigram", "--part", "ngram:order=3")
    assert run(mm_train, "text.txt", "-o", "run", *parts).exit_code == 0
    assert run(mm_train, "text.txt", "-o", "run", "--resume").exit_code == 0
    assert "parts" in refusal(
        mm_train, "text.txt", "-o", "run", "--resume", *parts[:3], "ngram:order=4"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.txt"], "missing.txt: cannot be read: No such file"),
        (["."], ".: cannot be read: Is a directory"),
        (["empty.txt"], "empty.txt: no line holds anything"),
        (["binary.txt"], "binary.txt: character 0 is NUL"),
        (["latin.txt"], "latin.txt: byte 2 is not utf-8"),
        (
            ["text.txt", *TRANSFORMER, "--block-size", "5"],
            "line 4 has 5 characters; a block of 5 holds",
        ),
        (
            ["long.txt", *TRANSFORMER, "--split", "100"],
            "line 2 has 1024 characters; a block of 1024 holds 1023",
        ),
        (["text.txt", "--split", "80/30"], "must be percentages"),
        (["text.txt", *TRANSFORMER, "--n-head", "3"], "n_embd 64 is not a multiple of n_head 3"),
        (
            ["text.txt", "--model", "bigram", "--dropout", "0"],
            "--dropout does not apply to model bigram",
        ),
        (
            ["text.txt", "--n-head", "3"],
            "--n-head applies to no component of the blend (lstm, ngram)",
        ),
        (
            ["text.txt", *TRANSFORMER, "--smoothing", "0"],
            "--smoothing does not apply to model transformer",
        ),
        (["text.txt", "--threads", "100000"], "100000 is not in the range 1<=x<=1024"),
        (["text.txt", "--max-steps", "0"], "--max-steps is 0: Expected `int` >= 1"),
        (["text.txt", "--learning-rate", "nan"], "--learning-rate is nan: Expected"),
        (["text.txt", "--optimizer", "adam"], "--optimizer is adam: Invalid enum value"),
        (
            ["text.txt", "--preset", "best", "--model", "lstm"],
            "--preset best brings its own model",
        ),
        (["text.txt", "--part", "lstm"], "--part was given 1 times"),
        (["text.txt", "--part", "lstn"], "'lstn' must begin with a model"),
        (["text.txt", "--model", "lstn"], "'lstn' is not one of"),
    ],
)
def test_a_bad_input_is_one_line_and_exit_code_2(tmp_path, words, message):
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "binary.txt").write_bytes(b"\0\1")
    (tmp_path / "latin.txt").write_bytes(b"zo\xeb")
    (tmp_path / "long.txt").write_text("short\n" + "x" * 1024)
    assert message in refusal(mm_train, *words, "-o", "run")
    assert not (tmp_path / "run").exists()


def test_export_trains_exports_verifies_and_samples(tmp_path):
    result = run(mm_export, "text.txt", "-o", "names", *SMALL, "--samples", "5")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("model.onnx: ")
    assert "to sample: mm-sample names" in lines
    sampler = makemore.load(tmp_path / "names")
    assert lines[-5:] == sampler.sample(5, seed=1)
    assert sampler.artifact.training.data.name == "text.txt"


def test_torchscript_is_left_out_on_request(tmp_path):
    words = ("text.txt", "-o", "names", "--model", "bigram")
    both = {"model.onnx", "model.ts", "README.md", "report.json"}
    for options, files in (([], both), (["--no-torchscript"], both - {"model.ts"}), ([], both)):
        result = run(mm_export, *words, *options)
        assert result.exit_code == 0
        assert {path.name for path in (tmp_path / "names").iterdir()} == files
        assert f"names: {', '.join(sorted(files))}" in result.stdout
        report = json.loads((tmp_path / "names" / "report.json").read_bytes())
        assert {check["file"] for check in report["verification"]} == set(report["sha256"])
        card = (tmp_path / "names" / "README.md").read_text()
        assert ("model.ts" in card) == ("model.ts" in files)


def test_export_takes_a_run_and_a_checkpoint():
    run(mm_train, "text.txt", "-o", "run", "--model", "bigram")
    for source in ("run", "run/best.safetensors"):
        result = json.loads(
            run(mm_export, source, "-o", "names", "--json", "--samples", "2").stdout
        )
        assert result["artifact"] == "names"
        assert len(result["samples"]) == 2
        assert result["report"]["finished"]
    assert "--seed is for training" in refusal(mm_export, "run", "-o", "names", "--seed", "1")


def test_export_in_float16_tells_what_it_costs(tmp_path):
    words = ["-o", "names", "--half", "--samples", "0"]
    shown = "\ntest in float16: "
    assert shown in run(mm_export, "text.txt", *words, "--model", "bigram").stdout
    assert makemore.load(tmp_path / "names").artifact.model.precision == "float16"
    assert "float16" not in run(mm_export, "names.run", *words).stdout  # the text is not at hand
    text = ["--text", "text.txt", "--encoding", "latin-1"]
    assert shown in run(mm_export, "names.run", *words, *text).stdout
    (tmp_path / "other.txt").write_text("x")
    other = refusal(mm_export, "names.run", *words, "--text", "other.txt")
    assert "other.txt: is another text than that of the run" in other
    refused = refusal(mm_export, "text.txt", *words, "--text", "text.txt")
    assert "--text is for a SOURCE that is trained already" in refused


def test_fingerprints_are_stored_where_the_text_is_at_hand(tmp_path):
    words = ["-o", "names", "--samples", "0"]
    out = run(mm_export, "text.txt", *words, "--model", "bigram").stdout
    assert "fingerprints of " in out
    assert makemore.load(tmp_path / "names").sample(3, seed=1, novel=True)
    out = run(mm_export, "names.run", *words).stdout
    assert re.search("no fingerprints of the .*; --text FILE stores them, of the text of", out)
    text = ["--text", "text.txt", "--encoding", "latin-1"]
    assert "fingerprints of " in run(mm_export, "names.run", *words, *text).stdout
    out = run(mm_export, "names.run", *words, *text, "--no-fingerprints").stdout
    assert "no fingerprints of the " in out
    assert "--text FILE" not in out


def test_export_uses_a_finished_run_of_the_same_options_again(tmp_path):
    words = ["text.txt", "-o", "names", "--model", "bigram"]
    run(mm_export, *words)
    written = RunFolder(tmp_path / "names.run").best.stat().st_mtime_ns
    run(mm_export, *words)
    assert RunFolder(tmp_path / "names.run").best.stat().st_mtime_ns == written
    assert "smoothing None, now 2.0" in refusal(mm_export, *words, "--smoothing", "2")


def test_a_command_refuses_a_folder_that_another_process_writes(tmp_path):
    with locked(tmp_path / "names"):
        for command in (mm_train, mm_export):
            message = refusal(command, "text.txt", "-o", "names", "--model", "bigram")
            assert "names: another process is writing it now" in message
    with locked(tmp_path / "names.run"):
        message = refusal(mm_export, "text.txt", "-o", "names", "--model", "bigram")
        assert "names.run: another process is writing it now" in message
    assert not (tmp_path / "names").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are UTF-8 elsewhere")
def test_a_name_that_is_not_utf8_is_read_but_not_written(tmp_path):
    name = os.fsdecode(b"t\xffxt.txt")
    (tmp_path / name).write_text("\n".join(LINES))
    result = run(mm_train, name, "-o", "run", "--model", "bigram")
    assert result.exit_code == 0
    assert RunFolder(tmp_path / "run").latest().run.data.name == "t\\udcffxt.txt"
    for command in (mm_train, mm_export):
        message = refusal(command, "text.txt", "-o", os.fsdecode(b"r\xffn"), "--model", "bigram")
        assert "r\\udcffn: a path that is not UTF-8 cannot be used" in message
    assert {path.name for path in tmp_path.iterdir()} == {name, "text.txt", "run"}


def test_export_refuses_a_target_before_it_trains(tmp_path):
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "thesis.txt").touch()
    assert "holds 'thesis.txt'" in refusal(mm_export, "text.txt", "-o", "names", *SMALL)
    assert not (tmp_path / "names.run").exists()


def test_export_does_not_replace_the_working_directory():
    run(mm_train, "text.txt", "-o", "run", "--model", "bigram")
    assert "is the working directory" in refusal(mm_export, "run", "-o", ".")


def test_export_of_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"x")
    assert "not a readable checkpoint" in refusal(mm_export, "x.safetensors", "-o", "names")


def test_a_mismatch_is_exit_code_1(tmp_path, monkeypatch):
    def wrong(*_):
        raise ExportError("model.onnx: logit 1 is off")

    monkeypatch.setattr(artifact_folder, "verify", wrong)
    result = run(mm_export, "text.txt", "-o", "names", "--model", "bigram")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        1,
        "Error: model.onnx: logit 1 is off",
    )
    assert not (tmp_path / "names").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_in_the_last_evaluations_is_answered_at_once(tmp_path, monkeypatch):
    evaluated = []

    def interrupted(*_):
        evaluated.append(1)
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            time.sleep(0.01)  # a signal is handled between two of these
        return 1.0

    words = ["text.txt", "-o", "run", *SMALL]
    with monkeypatch.context() as patch:
        patch.setattr("makemore_export.training.loop.mean_nll", interrupted)
        result = CliRunner().invoke(mm_train, words)
    assert (result.exit_code, len(evaluated)) == (130, 1)
    assert "to go on: mm-train text.txt -o run --resume" in result.stderr
    latest = RunFolder(tmp_path / "run").latest()
    assert not latest.progress.finished
    assert latest.progress.step == latest.run.recipe.max_steps
    assert CliRunner().invoke(mm_train, ["text.txt", "-o", "run", "--resume"]).exit_code == 0
    assert CliRunner().invoke(mm_train, ["text.txt", "-o", "whole", *SMALL]).exit_code == 0
    one, other = (RunFolder(tmp_path / name).latest().progress for name in ("run", "whole"))
    assert one.losses == other.losses


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_saves_and_the_run_goes_on(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = "from makemore_export.commands.train import main; main()"
    words = ["text.txt", "-o", "run", *SMALL[:-4], "--max-steps", "100000", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stderr=subprocess.PIPE, env=environment, text=True
    )
    assert process.stderr is not None
    with process, process.stderr as stderr:
        assert stderr.readline().startswith("text.txt:")
        while not stderr.readline().startswith("step"):
            pass
        process.send_signal(signal.SIGINT)
        rest = stderr.read()
    assert process.returncode == 130
    assert "to go on: mm-train text.txt -o run --resume" in rest
    latest = RunFolder(tmp_path / "run").latest()
    assert latest.progress.step > 0
    assert not latest.progress.finished


def test_a_model_that_nothing_can_be_sampled_from_ends_the_command_with_its_error(tmp_path):
    (tmp_path / "text.txt").write_text("".join(f"{a}{b}\n" for a in "abcdef" for b in "xyz"))
    words = ["text.txt", "-o", "run", "--split", "100", "--model", "mlp", "--max-steps", "20"]
    init = ["--init", "normal", "--init-scale", "1e30"]
    done = subprocess.run(
        [sys.executable, "-m", "makemore_export.commands.train", *words, *init],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2  # PyTorch aborts where a training is left as it was
    # Whether the loss is a number, of sums that overflow, hangs on the order that they run in.
    errors = (
        "Error: the model's logits hold NaN",
        "Error: training diverged: the train loss is nan",
    )
    assert any(error in done.stderr for error in errors)
