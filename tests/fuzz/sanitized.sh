#!/usr/bin/env bash
# tests/fuzz/sanitized.sh [OPTIONS OF run.py]: the fuzzer over an extension that is built with the
# address and undefined-behaviour sanitizers. A report of theirs ends the mutant, and is a finding.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${MAKEMORE_SANITIZED:-build/sanitized}
cmake -S . -B "$work" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DMAKEMORE_SANITIZE=address,undefined -DPython_EXECUTABLE="$(command -v python)" \
  -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" > "$work.log" 2>&1 || { cat "$work.log"; exit 1; }
cmake --build "$work" --target _core
# The package as it lies here, with that extension.
rm -rf "$work/package" && mkdir -p "$work/package"
cp -r python/makemore export/makemore_export "$work/package/"
cp "$work"/_core.*.so "$work/package/makemore/"
libraries=$(g++ -print-file-name=libasan.so):$(g++ -print-file-name=libstdc++.so)
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1:handle_segv=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
PYTHONPATH="$work/package" LD_PRELOAD="$libraries" python tests/fuzz/run.py "$@"
