import inspect
import subprocess
import sys
from importlib.metadata import version

import makemore
import pytest
from tiny_artifacts import FOLDER


def public_functions():
    for name in makemore.__all__:
        thing = getattr(makemore, name)
        members = vars(thing).items() if inspect.isclass(thing) else [("", thing)]
        for attribute, member in members:
            function = getattr(member, "fget", getattr(member, "__func__", member))
            if inspect.isfunction(function) and not attribute.startswith("_"):
                yield pytest.param(function, id=f"{name}.{attribute}".rstrip("."))


@pytest.mark.parametrize("name", makemore.__all__)
def test_what_is_public_has_a_docstring_of_its_own(name):
    assert vars(getattr(makemore, name))["__doc__"] if name != "load" else makemore.load.__doc__


@pytest.mark.parametrize("function", [*public_functions()])
def test_public_functions_are_documented_and_typed(function):
    assert function.__doc__
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    typed = {name for name, p in signature.parameters.items() if p.annotation is not p.empty}
    assert signature.parameters.keys() - typed <= {"self", "cls"}


def test_every_error_is_a_makemore_error_and_of_the_builtin_kind_that_fits():
    for error in (makemore.OptionError, makemore.ArtifactError, makemore.DataError):
        assert issubclass(error, makemore.MakemoreError)
        assert issubclass(error, ValueError)
    assert issubclass(makemore.OrtError, makemore.MakemoreError)
    assert issubclass(makemore.OrtError, RuntimeError)


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_makemore_opens_no_onnxruntime():
    code = """
import sys, makemore
from makemore.runtime.onnxruntime_library import _open_library
assert _open_library.cache_info().currsize == 0
if sys.platform == "linux":
    assert "libonnxruntime" not in open("/proc/self/maps").read()
"""
    assert run_python(code) == ""


def test_loading_sampling_and_scoring_import_no_torch_no_onnx_and_no_onnxruntime():
    code = f"""
import sys, makemore
sampler = makemore.load({str(FOLDER / "cache")!r})
sampler.score(sampler.sample(100, seed=1))
print({{"torch", "onnx", "onnxruntime", "makemore_export"}} & set(sys.modules))
"""
    assert run_python(code) == "set()\n"


def test_the_library_prints_nothing(capfd):
    sampler = makemore.load(FOLDER / "cache")
    sampler.sample(3)
    with pytest.raises(makemore.ArtifactError):
        makemore.load(__file__.replace(".py", ".onnx"))
    with pytest.raises(makemore.OptionError):
        sampler.score(["x"])
    assert capfd.readouterr() == ("", "")


def test_the_version_is_that_of_the_package():
    assert makemore.__version__ == version("makemore")
