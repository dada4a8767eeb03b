"""What is missing of CUDA is found where pip puts it, or named. ONNX Runtime is played here."""

import ctypes
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
from makemore import OrtError
from makemore.runtime.cuda_libraries import require_cuda

LOADER = "cannot load the provider: {}: cannot open shared object file: No such file or directory"


class Library:
    """An ONNX Runtime that needs libraries, and names the first it does not find as ld.so does."""

    version = "1.31.1"

    def __init__(self, *needs):
        self.needs = needs
        self.loaded = set()

    def require_cuda(self):
        for name in self.needs:
            if name not in self.loaded:
                raise OrtError(LOADER.format(name))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts libraries where the wheels of NVIDIA put them, for a runtime that then loads them."""
    # These alone, not those of this machine.
    monkeypatch.setattr(
        "makemore.runtime.cuda_libraries.find_spec",
        lambda name: PathFinder.find_spec(name, [str(tmp_path)]),
    )
    folder = tmp_path / "nvidia" / "cu13" / "lib"
    folder.mkdir(parents=True)

    def put(library, *names):
        for name in names:
            (folder / name).touch()
        monkeypatch.setattr(ctypes, "CDLL", lambda path, mode: library.loaded.add(Path(path).name))

    return put


def test_libraries_in_the_wheels_of_nvidia_are_loaded_one_after_the_other(install):
    library = Library("libcublasLt.so.13", "libcublas.so.13", "libcudart.so.13")
    install(library, *library.needs, "libcudnn.so.9", "libcufft.so.12")
    require_cuda(library)
    assert library.loaded == {*library.needs, "libcudnn.so.9"}


@pytest.mark.parametrize("name", ["libcublasLt.so.13", "libcudnn.so.9"])
def test_a_missing_library_is_named_with_the_cure(install, name):
    library = Library(name)
    install(library)
    with pytest.raises(OrtError, match=rf"ONNX Runtime 1\.31\.1 misses {name}: install CUDA and"):
        require_cuda(library)


def test_a_cuda_of_another_version_is_named_beside_the_one_that_is_needed(install):
    library = Library("libcublas.so.13")
    install(library, "libcublas.so.12")
    with pytest.raises(OrtError, match=r"misses libcublas\.so\.13, and finds libcublas\.so\.12"):
        require_cuda(library)


def test_a_library_that_loads_and_is_missed_again_is_an_error_too(install):
    library = Library("libcublas.so.13")
    install(library, "libcublas.so.13")
    library.require_cuda = Library("libcublas.so.13").require_cuda  # to which nothing is loaded
    with pytest.raises(OrtError, match=r"misses libcublas\.so\.13"):
        require_cuda(library)


def test_a_machine_without_a_driver_is_told_so(install):
    library = Library("libcuda.so.1")
    install(library)
    with pytest.raises(OrtError, match=r"misses libcuda\.so\.1: no NVIDIA driver is installed"):
        require_cuda(library)


def test_any_other_error_is_passed_on(install):
    class Broken(Library):
        def require_cuda(self):
            raise OrtError("CUDA failure 35: driver version is insufficient")

    install(Broken())
    with pytest.raises(OrtError, match="CUDA failure 35"):
        require_cuda(Broken())
