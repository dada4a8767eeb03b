"""What a fresh install without PyTorch must have and do. `check_wheel.sh` runs it."""

import sys
from importlib.metadata import files, metadata
from importlib.util import find_spec
from pathlib import Path

import makemore
from makemore.commands.doctor import describe_environment

assert find_spec("torch") is None, "torch is installed: this check shows nothing"
assert metadata("makemore")["License-Expression"] == "MIT"
installed = {path.name for path in files("makemore")}
for needed in ("LICENSE", "py.typed", "_core.pyi", "self_test.onnx", "us-names-2018.txt"):
    assert needed in installed, f"the wheel has no {needed}"
environment = describe_environment()
if {"avx2", "neon"} & set(environment["cpu features"]):
    assert environment["vector code for"], "the wheel has no vector code for this processor"

artifacts = sorted(Path(sys.argv[1]).glob("schema-*/*/model.onnx"))
assert artifacts, f"no artifacts in {sys.argv[1]}"
for file in artifacts:
    sampler = makemore.load(file)
    golden = sampler.artifact.golden
    names = sampler.sample(len(golden.strings), seed=golden.seed, min_length=0)
    assert tuple(names) == golden.strings, (file, names, golden.strings)
    assert (sampler.score(names, on_unknown="-inf") < 0).all()
    name = f"{file.parent.parent.name}/{file.parent.name}"
    print(f"{name}: {len(names)} golden samples replayed, such as {names[0]!r}")
assert "torch" not in sys.modules
print(f"makemore {Path(makemore.__file__).parent} works without PyTorch")
