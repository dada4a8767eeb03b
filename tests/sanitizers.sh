#!/usr/bin/env bash
# tests/sanitizers.sh: what .ci/run has no time for, some ten minutes on 2 cores: the C++ tests and
# the stress test of Python under ThreadSanitizer, then a bounded fuzzing under the other two.
set -euo pipefail
cd "$(dirname "$0")/.."
library=$(python -c 'from makemore.runtime.onnxruntime_library import find_library; print(find_library())')
cmake -S . -B build/thread -G Ninja -DMAKEMORE_PYTHON=OFF -DMAKEMORE_TESTS=ON -DMAKEMORE_WERROR=ON \
  -DMAKEMORE_SANITIZE=thread -DMAKEMORE_ORT_LIBRARY="$library"
cmake --build build/thread
TSAN_OPTIONS=suppressions=$PWD/tests/cpp/tsan.supp ctest --test-dir build/thread --output-on-failure
tests/instrumented.sh thread python -m pytest -s tests/test_stress.py
tests/instrumented.sh address,undefined python tests/fuzz/run.py --mutants 2000 --seconds 60
