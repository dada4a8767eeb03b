"""`--web` of `mm-export` and `mm-inspect`: which files it writes, and when it refuses."""

import hashlib
import json
import os
import re
import shutil
import tarfile
from contextlib import contextmanager
from pathlib import Path

import makemore
import pytest
import torch
from commands import run
from makemore_export.commands.export import main as mm_export
from makemore_export.commands.inspect import main as mm_inspect
from makemore_export.commands.train import main as mm_train
from makemore_export.packing import web_page
from makemore_export.packing.web_page import PAGE_FILES, RUNTIME_FILES, WEB_FILES
from tiny_artifacts import FOLDER

ARTIFACT = FOLDER / "schema-3" / "transformer"
MAX_PAGE = 60_000  # bytes, without the runtime and the model


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runtime(monkeypatch, tmp_path):
    """Stands for the files of onnxruntime-web, which need not be installed to copy files."""
    folder = tmp_path / "node_modules/onnxruntime-web/dist"
    folder.mkdir(parents=True)
    digests = {}
    for name in RUNTIME_FILES:
        (folder / name).write_text(f"the content of {name}")
        digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(web_page, "RUNTIME_FILES", digests)
    return folder


def names_in(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (mm_export, ("text.txt", "-o", "out", "--web")),
        (mm_inspect, (ARTIFACT, "--web", "out")),
    ],
    ids=["export", "inspect"],
)
def test_without_the_runtime_the_one_command_that_gets_it_is_told_and_nothing_is_made(
    command, words, tmp_path
):
    (tmp_path / "text.txt").write_text("emma\nava\n")
    _, error = run(command, *words, code=2)
    assert error.endswith("get it with: npm pack onnxruntime-web@1.30.0\n")
    assert names_in(tmp_path) == {"text.txt"}


def test_a_page_holds_the_artifact_the_runtime_and_nothing_else(runtime):
    report = json.loads(run(mm_inspect, ARTIFACT, "--web", "out", "--json")[0])
    assert names_in(Path("out")) == {"model.onnx", *WEB_FILES}
    assert {Path(each).name for each in report["page"]} == WEB_FILES
    assert Path("out/model.onnx").read_bytes() == (ARTIFACT / "model.onnx").read_bytes()
    for name in RUNTIME_FILES:
        assert Path("out", name).read_bytes() == (runtime / name).read_bytes()
    assert makemore.load("out").sample(3, seed=1) == makemore.load(ARTIFACT).sample(3, seed=1)


def test_the_artifacts_own_folder_gets_the_page_and_keeps_its_files(runtime):
    shutil.copytree(ARTIFACT, "artifact")
    Path("artifact/notes.txt").write_text("mine")
    os.utime("artifact/notes.txt", (1, 1))
    before = names_in(Path("artifact"))
    Path("artifact/index.html").write_text("an older page")
    run(mm_inspect, "artifact", "--web", "artifact")
    assert names_in(Path("artifact")) == before | WEB_FILES
    assert Path("artifact/notes.txt").read_text() == "mine"
    assert Path("artifact/notes.txt").stat().st_mtime == 1
    assert "an older page" not in Path("artifact/index.html").read_text()


def test_export_writes_the_page_beside_the_artifact(runtime, tmp_path):
    Path("text.txt").write_text("\n".join(f"{a}{b}" for a in "abcdef" for b in "uvwxyz"))
    words = ("text.txt", "-o", "a & b", "--model", "bigram", "--web")
    out, _ = run(mm_export, *words)
    assert names_in(Path("a & b")) >= {"model.onnx", "report.json", *WEB_FILES}
    assert "python -m http.server -d 'a & b'" in out
    assert 'content="a &amp; b"' in Path("a & b/index.html").read_text()
    run(mm_export, *words[:-1])  # without --web the artifact is replaced, and the page is gone
    assert not names_in(Path("a & b")) & WEB_FILES


def test_a_run_and_the_checkpoint_of_another_program_get_pages_too(runtime):
    Path("text.txt").write_text("\n".join(f"{a}{b}" for a in "abcdef" for b in "uvwxyz"))
    run(mm_train, "text.txt", "-o", "run", "--model", "bigram")
    run(mm_export, "run", "-o", "of a run", "--web")
    torch.save(torch.nn.RNN(3, 4).state_dict() | _ends(3, 4), "rnn.pt")
    Path("tokens.json").write_text(json.dumps([None, "a", "b"]))
    run(mm_export, "rnn.pt", "--tokens", "tokens.json", "-o", "of a checkpoint", "--web")
    for folder in ("of a run", "of a checkpoint"):
        assert names_in(Path(folder)) >= {"model.onnx", *WEB_FILES}


def _ends(vocab_size, size):
    """The tensors of the embedding and the head of a recurrent network."""
    return {
        "embedding.weight": torch.eye(vocab_size),
        "head.weight": torch.zeros(vocab_size, size),
        "head.bias": torch.zeros(vocab_size),
    }


def test_what_npm_pack_writes_serves_as_the_runtime(runtime, tmp_path):
    with tarfile.open("onnxruntime-web-1.30.0.tgz", "w:gz") as packed:
        for name in RUNTIME_FILES:
            packed.add(runtime / name, f"package/dist/{name}")
    shutil.rmtree("node_modules")
    for words in ((), ("--ort-web", tmp_path / "onnxruntime-web-1.30.0.tgz")):
        run(mm_inspect, ARTIFACT, "--web", "out", *words)
        assert names_in(Path("out")) >= set(RUNTIME_FILES)


@pytest.mark.parametrize("content", [None, b"of another version"])
def test_a_runtime_that_is_not_the_expected_one_is_refused(runtime, content):
    file = runtime / "ort.wasm.min.mjs"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    _, error = run(mm_inspect, ARTIFACT, "--web", "out", code=2)
    assert "ort.wasm.min.mjs" in error
    assert not Path("out").exists()


def test_a_file_that_is_no_package_is_refused(tmp_path):
    Path("other.tgz").write_bytes(b"\x1f\x8b not a package")
    _, error = run(mm_inspect, ARTIFACT, "--web", "out", "--ort-web", "other.tgz", code=2)
    assert "other.tgz: is not what npm pack onnxruntime-web@1.30.0 writes" in error


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((ARTIFACT, "--web", "strange"), "strange: holds 'diary.txt', so it is no page to replace"),
        ((ARTIFACT, "--web", "other"), "other: holds 'report.json', so it is no page to replace"),
        ((ARTIFACT, "--web", "."), ".: is the working directory; name another folder"),
        ((ARTIFACT, "--web", "file"), "file: is a file; a page is a folder"),
        ((ARTIFACT, "--ort-web", "x"), "--ort-web is for --web"),
        (("named/a.onnx", "--web", "named"), "named: holds 'a.onnx', so it is no page to replace"),
        (("--web", "out"), "--web is for an artifact, not None"),
    ],
)
def test_what_cannot_become_a_page_is_refused_and_left_as_it_is(runtime, words, reason):
    for folder, name in (("strange", "diary.txt"), ("other", "report.json")):
        Path(folder).mkdir()
        Path(folder, name).write_text("mine")
    Path("other/model.onnx").write_text("mine")
    Path("named").mkdir()
    shutil.copy(ARTIFACT / "model.onnx", "named/a.onnx")
    Path("file").write_text("mine")
    _, error = run(mm_inspect, *words, code=2)
    assert reason in error
    assert names_in(Path("strange")) == {"diary.txt"}
    assert names_in(Path("other")) == {"report.json", "model.onnx"}


@pytest.mark.parametrize("own", [True, False])
def test_what_another_process_writes_before_it_gives_the_lock_back_is_not_lost(
    runtime, monkeypatch, own
):
    folder = Path("artifact" if own else "page")
    shutil.copytree(ARTIFACT, "artifact")

    @contextmanager
    def locked_after_another(target):
        target.mkdir(exist_ok=True)
        (target / "new.txt").write_text("new")
        yield

    monkeypatch.setattr(web_page, "locked", locked_after_another)
    run(mm_inspect, "artifact", "--web", folder, code=0 if own else 2)
    assert (folder / "new.txt").read_text() == "new"


def test_a_write_that_fails_leaves_the_folder_as_it_was(runtime, monkeypatch):
    run(mm_inspect, ARTIFACT, "--web", "out")
    Path("out/index.html").write_text("index.html of before")
    write = Path.write_bytes

    def full(path, data):
        if path.name == "page.js":
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    run(mm_inspect, ARTIFACT, "--web", "out", code=2)
    assert Path("out/index.html").read_text() == "index.html of before"
    assert names_in(Path()) == {"out", "node_modules"}


def test_the_page_is_small_and_knows_no_other_origin():
    folder = Path(web_page.__file__).parent / "page"
    assert sum((folder / name).stat().st_size for name in PAGE_FILES) < MAX_PAGE
    texts = [(folder / name).read_text() for name in PAGE_FILES]
    addresses = {found for text in texts for found in re.findall(r"https?://[\w.:-]*", text)}
    assert addresses <= {"http://www.w3.org", "http://localhost:8000"}
