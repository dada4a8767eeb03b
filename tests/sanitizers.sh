#!/usr/bin/env bash
# tests/sanitizers.sh: what .ci/run has no time for, some five minutes on 2 cores: the stress test of
# Python under ThreadSanitizer, then a bounded fuzzing under the other two.
set -euo pipefail
cd "$(dirname "$0")/.."
tests/instrumented.sh thread python -m pytest -s tests/test_stress.py
tests/instrumented.sh address,undefined python tests/fuzz/run.py --mutants 2000 --seconds 60
