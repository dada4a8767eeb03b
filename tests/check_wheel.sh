#!/usr/bin/env bash
# Builds the wheel into FOLDER, installs it where there is no compiler and no torch, and samples.
# usage: tests/check_wheel.sh FOLDER
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")" && pwd)

pip wheel -q --no-deps -w "$folder/wheel" "$here/.."
wheel=$(ls "$folder"/wheel/makemore-*.whl)
ls -l "$wheel"

python3 -m venv "$folder/plain"
# With nothing else on PATH, anything that needed a compiler would fail.
PATH="$folder/plain/bin" pip install -q "$wheel[cpu]"
for tool in cc c++ gcc g++ clang cmake ninja; do
  if PATH="$folder/plain/bin" command -v "$tool"; then echo "$tool is on PATH"; exit 1; fi
done
PATH="$folder/plain/bin" python "$here/check_wheel.py" "$here/artifacts/schema-1"

extension=$("$folder/plain/bin/python" -c 'import makemore._core as core; print(core.__file__)')
if readelf -d "$extension" | grep onnxruntime; then
  echo "the extension links to onnxruntime"
  exit 1
fi
