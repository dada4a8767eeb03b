#!/usr/bin/env bash
# tests/instrumented.sh HOW COMMAND...: runs a command with a makemore whose extension is built with
# sanitizers, a report of which ends the process, or with counters of the lines that run. It is built in
# the folder MAKEMORE_BUILD, if that is set.
#
#   tests/instrumented.sh address,undefined python -m pytest tests --ignore tests/export -m "not resident_memory and not forks_threads"
#   tests/instrumented.sh address,undefined python tests/fuzz/run.py --mutants 2000
#   tests/instrumented.sh thread python -m pytest tests/test_stress.py
#   tests/instrumented.sh coverage python -m pytest
set -euo pipefail
cd "$(dirname "$0")/.."
how=$1
shift
build=${MAKEMORE_BUILD:-$PWD/build/instrumented-$how}
libraries=
case $how in
  coverage)
    options=("-DCMAKE_CXX_FLAGS=--coverage -Og -fprofile-update=atomic" -DCMAKE_BUILD_TYPE=None)
    find "$build" -name '*.gcda' -delete 2>/dev/null || true
    ;;
  *)
    options=("-DMAKEMORE_SANITIZE=$how" -DCMAKE_BUILD_TYPE=RelWithDebInfo)
    runtime=asan
    [[ $how != *thread* ]] || runtime=tsan
    libraries=$(g++ -print-file-name=lib$runtime.so):$(g++ -print-file-name=libstdc++.so)
    ;;
esac
cmake -S . -B "$build" -G Ninja "${options[@]}" -DMAKEMORE_PYTHON=ON -DPython_EXECUTABLE="$(command -v python)" \
  -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" >&2
cmake --build "$build" --target _core >&2

# The packages as they lie here, with that extension.
package=$build/package
rm -rf "$package"
mkdir -p "$package"
cp -r python/makemore export/makemore_export "$package/"
cp "$build"/_core.*.so "$package/makemore/"
# An editable install would bring its own extension, before any path is looked at.
cat > "$package/sitecustomize.py" <<'PYTHON'
import sys

sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "ScikitBuildRedirectingFinder"]
PYTHON

# Leaks are not looked for: Python frees little at its end.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1
export TSAN_OPTIONS=halt_on_error=1:suppressions=$PWD/tests/cpp/tsan.supp:${TSAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export PYTHONPATH=$package
LD_PRELOAD=$libraries exec "$@"
