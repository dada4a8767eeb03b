"""What a fresh install without PyTorch must do: load, sample, score. `check_wheel.sh` runs it."""

import sys
from importlib.util import find_spec
from pathlib import Path

import makemore

assert find_spec("torch") is None, "torch is installed: this check shows nothing"
for file in sorted(Path(sys.argv[1]).glob("*/model.onnx")):
    sampler = makemore.load(file)
    golden = sampler.artifact.golden
    names = sampler.sample(len(golden.strings), seed=golden.seed)
    assert tuple(names) == golden.strings, (file, names, golden.strings)
    assert (sampler.score(names) < 0).all()
    print(f"{file.parent.name}: {len(names)} golden samples replayed, such as {names[0]!r}")
assert "torch" not in sys.modules
print(f"makemore {Path(makemore.__file__).parent} works without PyTorch")
