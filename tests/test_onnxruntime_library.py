"""The ONNX Runtime that is found, or none, or a wrong one; each in a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from makemore import _core
from tiny_artifacts import FOLDER

BIGRAM = FOLDER / "bigram" / "model.onnx"
_QUIET = ("ORT_DISABLE_TELEMETRY", "CI", "GITHUB_ACTIONS")  # each keeps ONNX Runtime from reporting


def load_with(folder, before=""):
    """What `load` says in a process that finds the packages of `folder` first."""
    code = f"""
import sys
{before}
import makemore
for device in ("cpu", "auto"):
    try:
        makemore.load({str(BIGRAM)!r}, device=device)
    except makemore.OrtError as error:
        print(error)
"""
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first == second
    return first


def test_without_onnxruntime_the_error_names_both_extras(tmp_path):
    error = load_with(tmp_path, before="sys.modules['onnxruntime'] = None")
    assert error.startswith("no onnxruntime is installed: pip install 'makemore[cpu]'")
    assert "makemore[cuda]" in error


def fake_onnxruntime(folder, library=None):
    """A package of the name onnxruntime, with a copy of `library` as its shared library."""
    capi = folder / "onnxruntime" / "capi"
    capi.mkdir(parents=True)
    (folder / "onnxruntime" / "__init__.py").write_text("raise SystemExit('imported')")
    if library is not None:
        name = {"win32": "onnxruntime.dll", "darwin": "libonnxruntime.1.31.1.dylib"}
        shutil.copy(library, capi / name.get(sys.platform, "libonnxruntime.so.1.31.1"))
    return folder


def test_an_onnxruntime_without_a_shared_library_is_refused_with_the_cure(tmp_path):
    error = load_with(fake_onnxruntime(tmp_path))
    cure = "pip install --upgrade onnxruntime"
    assert f"holds no shared library (1.20 or newer does): {cure}" in error


def test_several_libraries_at_once_are_refused_by_name(tmp_path):
    folder = fake_onnxruntime(tmp_path, __file__)
    other = "onnxruntime.dll" if sys.platform != "win32" else "libonnxruntime.so.1.26.0"
    (folder / "onnxruntime" / "capi" / other).write_bytes(b"")
    error = load_with(folder)
    assert error.startswith("several ONNX Runtimes lie in ")
    assert other in error
    assert error.endswith("pip uninstall them all, install one")


def test_a_library_that_is_no_library_is_refused(tmp_path):
    assert "cannot open" in load_with(fake_onnxruntime(tmp_path, __file__))


def test_a_library_of_something_else_is_refused(tmp_path):
    error = load_with(fake_onnxruntime(tmp_path, Path(_core.__file__)))
    assert error.endswith("is not ONNX Runtime: it has no OrtGetApiBase")


def test_it_is_told_to_report_nothing(tmp_path):
    code = f"import makemore, os; makemore.load({str(BIGRAM)!r}).sample(1)"
    env = {key: value for key, value in os.environ.items() if key not in _QUIET}
    home = {key: str(tmp_path) for key in ("HOME", "XDG_CACHE_HOME", "TMPDIR")}
    subprocess.run([sys.executable, "-c", code], env=env | home, check=True)
    assert [*tmp_path.rglob("*")] == []  # where it reports, it numbers the machine


def test_who_wants_reports_gets_them(monkeypatch):
    code = f"import makemore, os; makemore.load({str(BIGRAM)!r}); print(os.environ[{_QUIET[0]!r}])"
    monkeypatch.setenv(_QUIET[0], "0")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
