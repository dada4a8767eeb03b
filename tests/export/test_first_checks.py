"""Help and bad input are answered without PyTorch, which takes seconds to import."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distribution
from string import ascii_lowercase

import click
import pytest
from click.testing import CliRunner
from makemore_export.commands.export import main as mm_export
from makemore_export.commands.export_options import FORMATS
from makemore_export.commands.run_planning import check_options
from makemore_export.commands.train import main as mm_train
from makemore_export.configs import CONFIGS
from makemore_export.importers import IMPORTERS
from makemore_export.models import MODELS
from makemore_export.training.sweep import parse_sweeps

COMMANDS = {
    script.name: script.value
    for script in distribution("makemore").entry_points
    if script.group == "console_scripts"
}

WITHOUT_PYTORCH = """
import json, sys
from importlib import import_module
from click.testing import CliRunner
sys.modules["torch"] = None  # whose import now fails
commands, calls = json.load(sys.stdin)
for name, *words in calls:
    module, _, main = commands[name].partition(":")
    command = getattr(import_module(module), main)
    result = CliRunner().invoke(command, words, prog_name=name)
    failure = None if isinstance(result.exception, SystemExit) else result.exception
    print(json.dumps([result.exit_code, result.output, failure and repr(failure)]))
"""

TRANSFORMER = "mm-train text.txt -o new --model transformer"
WRONG = {
    # the command line
    "mm-train text.txt": "Missing option '-o'",
    "mm-train text.txt -o new --no-such 3": "No such option",
    "mm-train text.txt -o new --seed x": "'x' is not a valid integer",
    "mm-train text.txt -o new --threads 0": "0 is not in the range",
    "mm-train text.txt -o new --device tpu": "'tpu' is not one of",
    "mm-train text.txt -o new --split 80/30": "must be percentages",
    "mm-train text.txt -o new --model nope": "'nope' is not one of",
    "mm-train text.txt -o new --preset nope": "'nope' is not one of",
    "mm-train text.txt -o new --part lstm:order=3": "'order' is no option of lstm",
    "mm-train text.txt -o new --trials 3": "is for a search",
    "mm-train text.txt -o new --find-lr --resume": "does not go with --resume",
    "mm-train text.txt -o new --sweep order=2,3 --resume": "not with --resume",
    "mm-export text.txt -o new --samples x": "'x' is not a valid integer",
    "mm-export text.txt -o new --from nope": "'nope' is not one of",
    "mm-export -o new --from nanogpt": "needs a SOURCE",
    "mm-export text.txt -o new --ort-web there": "is for --web",
    # files
    "mm-train missing.txt -o new": "missing.txt: cannot be read",
    "mm-train --n-layer 3 missing.txt -o new": "missing.txt: cannot be read",
    "mm-train missing.txt -o new --resume": "missing.txt: cannot be read",
    "mm-train text.txt -o new --resume": "holds no run to resume",
    "mm-train text.txt -o counted": "holds a run already",
    "mm-train text.txt -o table.csv": "table.csv: is a file; a run is a folder",
    "mm-train text.txt -o table.csv/run": "table.csv: cannot be made: File exists",
    "mm-export text.txt -o table.csv": "table.csv: is a file; an artifact is a folder",
    "mm-train table.csv -o counted --resume": "holds the run of another text",
    "mm-train text.txt -o torn --resume": "not a readable checkpoint",
    "mm-export missing.txt -o new": "missing.txt: cannot be read",
    "mm-export missing.safetensors -o new": "missing.safetensors: no such file",
    "mm-export counted -o new --text missing.txt": "missing.txt: cannot be read",
    "mm-export counted -o new --text table.csv": "is another text than that of the run",
    "mm-export counted -o mine": "so it is not an artifact to replace",
    "mm-export mine -o new": "not a run that was evaluated once",
    "mm-export torn -o new": "not a readable checkpoint",
    "mm-export pickle.pt -o new --tokens missing.json": "missing.json: cannot be read",
    "mm-sample missing": "missing",
    "mm-score missing text.txt": "missing",
    "mm-bench missing": "missing",
    "mm-inspect missing": "missing: no such file",
    "mm-inspect mine": "model.onnx: no such file",
    "mm-sample mine": "model.onnx: no such file",
    "mm-inspect torn": "not a readable checkpoint",
    "mm-inspect missing.safetensors": "not a readable checkpoint",
    "mm-inspect counted --text table.csv": "is another text than that of the run",
    "mm-inspect counted --plots text.txt": "--plots text.txt: is a file, not a folder",
    "mm-inspect counted --plots new --string @": "'@' (number 1 of '@') is not among",
    "mm-inspect counted --next @": "'@' (number 1 of '@') is not among",
    # how the text is read
    "mm-train text.txt -o new --encoding klingon": "'klingon' is not an encoding",
    "mm-train table.csv -o new --column no": "has no column 'no'",
    "mm-train table.csv -o new --label-column a": "needs --column",
    "mm-train text.txt -o new --labels": "line 1 is not a label",
    "mm-train text.txt -o new --long-lines cut": "needs --max-line-length",
    "mm-train text.txt -o new --max-line-length 3": "line 1 has 4",
    "mm-train text.txt -o new --level token": "needs --split-pattern",
    "mm-train text.txt -o new --split-pattern x": "is for --level token",
    "mm-train text.txt -o new --vocab-size 9": "is for --level word",
    # the model
    "mm-train text.txt -o new --n-hidden x": "--n-hidden is x: Expected `int`",
    "mm-train text.txt -o new --model lstm --n-hidden x": "--n-hidden is x: Expected `int`",
    "mm-train text.txt -o new --model lstm --n-hidden 0": "--n-hidden is 0: Expected `int` >= 1",
    "mm-train text.txt -o new --model lstm --order 3": "--order does not apply to model lstm",
    "mm-train text.txt -o new --n-head 2": "--n-head applies to no component of the blend",
    f"{TRANSFORMER} --n-head 3": "is not a multiple of n_head 3",
    f"{TRANSFORMER} --block-size 3": "a larger one: --block-size",
    "mm-train text.txt -o new --model ngram --smoothing 1": "is for method additive",
    "mm-train text.txt -o new --model rnn --momentum 0.5": "is for optimizer sgd",
    "mm-train text.txt -o new --model rnn --compile maybe": "--compile is maybe",
    "mm-train text.txt -o new --model blend --part lstm": "2 components or more",
    "mm-train text.txt -o new --preset fast --model lstm": "brings its own model",
    "mm-train text.txt -o new --find-lr --model bigram": "does not apply to model bigram",
    "mm-train text.txt -o counted --resume --n-layer 2": "--n-layer does not apply to model bigram",
    "mm-train text.txt -o counted --resume --smoothing 2": "holds another run: smoothing",
    "mm-export text.txt -o new --n-hidden x": "--n-hidden is x: Expected `int`",
    "mm-export counted -o new --n-layer 2": "is for training; counted is trained already",
    "mm-export text.txt -o new --text text.txt": "is for a SOURCE that is trained already",
    "mm-export text.txt -o new --tokens text.txt": "are for the checkpoint of another program",
    "mm-export pickle.pt -o new --n-head x": "--n-head is 'x'; it must be a number",
    "mm-export pickle.pt -o new --map x=y": "--map is 'x=y'",
    "mm-train text.txt -o new --model lstm --ngram-targets 2": "--ngram-targets is 2: Expected",
    "mm-export text.txt -o new --half --int8": "--half and --int8 are two precisions; take one",
    "mm-export text.txt -o new --model ngram --int8": "--int8 is for models with matrices",
    "mm-export counted -o new --int8": "--int8 is for models with matrices; bigram has tables",
    # sweeps
    "mm-train text.txt -o new --sweep nope=1,2": "'nope' is not one of",
    "mm-train text.txt -o new --sweep order=3": "1 values; 2 to 100 can be compared",
    "mm-train text.txt -o new --sweep dropout=0.1,2": "--dropout is 2: Expected `float` < 1",
    f"{TRANSFORMER} --sweep n_embd=6,9 --sweep n_head=3,4": "6 is not a multiple of n_head 4",
    "mm-train text.txt -o new --sweep n_head=2,3": "--n-head applies to no component",
    "mm-train text.txt -o new --sweep order=2,3 --split 100": "compares losses of dev",
    "mm-train text.txt -o counted --sweep order=2,3": "holds a run; --sweep takes a folder",
    "mm-train text.txt -o new --sweep order=2,3 --order 4": "is given a value of its own",
    "mm-train text.txt -o new --sweep order=2,3 --sweep order=4,5": "is given twice",
}
"""What is said about a command, which is in a folder of the files of `answers`."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Exit code, output and failure of each of `WRONG`, and of the help of each command."""
    folder = tmp_path_factory.mktemp("first_checks")
    lines = ["emma", *(f"{letter}va" for letter in ascii_lowercase)]
    (folder / "text.txt").write_text("\n".join(lines))
    (folder / "table.csv").write_text("a,b\n1,2\n")
    (folder / "pickle.pt").write_bytes(b"\x80\x02}.")
    for name in ("mine", "torn"):
        (folder / name).mkdir()
    (folder / "mine" / "notes").write_text("of my own")
    for name in ("best", "last"):
        (folder / "torn" / f"{name}.safetensors").write_bytes(b"\x08")
    run = [str(folder / "text.txt"), "-o", str(folder / "counted"), "--split", "100"]
    assert CliRunner().invoke(mm_train, [*run, "--model", "bigram"]).exit_code == 0
    calls = [*(call.split() for call in WRONG), *([name, "--help"] for name in COMMANDS)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYTORCH],
        input=json.dumps([COMMANDS, calls]),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    given = map(json.loads, done.stdout.splitlines())
    return dict(zip(map(" ".join, calls), given, strict=True)) | {"folder": folder}


@pytest.mark.parametrize(("call", "message"), WRONG.items(), ids=WRONG)
def test_bad_input_is_told_without_pytorch(answers, call, message):
    code, output, failure = answers[call]
    assert (code, failure) == (2, None), output
    assert message in output
    assert not (answers["folder"] / "new").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_given_without_pytorch(answers, command):
    code, output, failure = answers[f"{command} --help"]
    assert (code, failure) == (0, None)
    assert output.startswith(f"Usage: {command} ")


@pytest.mark.parametrize("command", [mm_train, mm_export])
def test_an_option_of_a_model_is_one_of_the_command(command):
    names = [
        name
        for each in command.get_params(click.Context(command, help_option_names=["-h", "--help"]))
        for name in each.opts
    ]
    assert len(names) == len({*names})
    assert {"--model", "--n-layer", "--split", "-o"} <= {*names}


def test_what_is_known_without_pytorch_is_what_there_is():
    assert {name: model.Config for name, model in MODELS.items()} == CONFIGS
    assert {*FORMATS} == {*IMPORTERS}


def test_values_of_a_search_are_checked_together():
    sweeps = parse_sweeps(["n_embd=6,9", "n_head=3,1"], {})
    check_options(
        {"model": "transformer"}, sweeps
    )  # though 3 heads do not divide the default width
