#!/usr/bin/env bash
# The C++ core beyond g++ on x86-64: built and tested with clang, and for aarch64 under emulation;
# compiled for Windows and macOS.
# usage: tests/check_portability.sh FOLDER
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
step() { printf '\n== %s\n' "$*"; }

step "tools"
missing=()
command -v clang++ >/dev/null || missing+=(clang)
command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
[ -e /usr/include/doctest/doctest.h ] || missing+=(doctest-dev)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -q && apt-get install -qy "${missing[@]}"
fi
python3 -m venv "$folder/tools"
export PATH="$folder/tools/bin:$PATH"
pip install -q cmake ninja ziglang

# Builds the core and its tests for ARCHITECTURE, and runs them with the ONNX Runtime of a wheel for
# it. The Python version only picks a wheel: the library inside is the same.
# usage: run_tests ARCHITECTURE CMAKE_ARGUMENT...
run_tests() {
  local build="$folder/$1"
  pip download -q --no-deps --only-binary=:all: --python-version 3.11 \
    --platform "manylinux_2_27_$1" --platform "manylinux_2_28_$1" -d "$build/wheel" onnxruntime
  python -m zipfile -e "$build"/wheel/onnxruntime-*.whl "$build/wheel"
  cmake -S "$root" -B "$build" -G Ninja -DMAKEMORE_PYTHON=OFF -DMAKEMORE_TESTS=ON \
    -DMAKEMORE_WERROR=ON "${@:2}" \
    -DMAKEMORE_ORT_LIBRARY="$(ls "$build"/wheel/onnxruntime/capi/libonnxruntime.so.*)"
  cmake --build "$build"
  ctest --test-dir "$build" --output-on-failure --no-tests=error
}

step "clang"
run_tests x86_64 -DCMAKE_CXX_COMPILER=clang++

step "aarch64, emulated"
# ONNX Runtime reads /proc/cpuinfo as it is opened. 1.31 crashes where that is of no ARM processor,
# as under qemu; 1.23 and 1.26 abort where it lists fewer processors than the machine has. qemu
# looks for each file below this folder first.
sysroot="$folder/sysroot"
mkdir -p "$sysroot/proc"
ln -sfn /usr/aarch64-linux-gnu/lib "$sysroot/lib"
for ((i = 0; i < $(nproc --all); ++i)); do
  printf 'processor : %d\nCPU implementer : 0x41\nCPU part : 0xd0c\n\n' "$i"  # Neoverse N1
done >"$sysroot/proc/cpuinfo"
run_tests aarch64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
  -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
  -DCMAKE_CROSSCOMPILING_EMULATOR="qemu-aarch64;-L;$sysroot"

# Compiled only: zig brings the headers of these systems, but nothing here could run the result.
export ZIG_GLOBAL_CACHE_DIR="$folder/zig"
for target in x86_64-windows-gnu aarch64-macos; do
  step "$target"
  for source in "$root"/csrc/*/*.cpp; do
    [ "$(basename "$(dirname "$source")")" != python ] || continue  # needs Python's headers there
    [[ $target$source != *windows*_kernel.cpp ]] || continue        # not built there
    echo "${source#"$root/"}"
    python -m ziglang c++ -target "$target" -std=c++20 -Wall -Wextra -Wpedantic -Werror \
      $(printf -- '-I%s ' "$root"/csrc/{base,decode,kernels,transformer,ort,onnx,gpu}) \
      -c "$source" -o "$folder/$target.o"
  done
done
