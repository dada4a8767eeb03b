#!/usr/bin/env bash
# tests/sanitized.sh SANITIZERS COMMAND...: runs a command with a makemore whose extension is built
# with sanitizers. A report of theirs ends the process.
#
#   tests/sanitized.sh address,undefined python tests/fuzz/run.py --mutants 2000
#   tests/sanitized.sh thread python -m pytest tests/test_stress.py
set -euo pipefail
cd "$(dirname "$0")/.."
sanitizers=$1
shift
work=$PWD/build/sanitized-$sanitizers
cmake -S . -B "$work" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DMAKEMORE_SANITIZE="$sanitizers" \
  -DPython_EXECUTABLE="$(command -v python)" -Dpybind11_DIR="$(python -m pybind11 --cmakedir)"
cmake --build "$work" --target _core

# The packages as they lie here, with that extension.
package=$work/package
rm -rf "$package"
mkdir -p "$package"
cp -r python/makemore export/makemore_export "$package/"
cp "$work"/_core.*.so "$package/makemore/"
# An editable install would bring its own extension, before any path is looked at.
cat > "$package/sitecustomize.py" <<'PYTHON'
import sys

sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "ScikitBuildRedirectingFinder"]
PYTHON

libraries=$(g++ -print-file-name=libstdc++.so)
case $sanitizers in
  *address*) libraries=$(g++ -print-file-name=libasan.so):$libraries ;;
  *thread*) libraries=$(g++ -print-file-name=libtsan.so):$libraries ;;
esac
# Python frees little at its end; and what a test asks too much memory of gets none.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1
export TSAN_OPTIONS=halt_on_error=1:suppressions=$PWD/tests/cpp/tsan.supp:${TSAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export PYTHONPATH=$package
LD_PRELOAD=$libraries exec "$@"
