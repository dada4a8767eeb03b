#!/usr/bin/env bash
# tests/coverage.sh [ARGUMENTS OF pytest]: which lines of python/, export/ and csrc/ the tests run, in
# Python and in C++, those of the processes that they start counted too. Fails under 95% together.
# build/coverage/report.txt has the lines that are left.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/instrumented-coverage
report=$PWD/build/coverage
rm -rf "$report"
mkdir -p "$report"
export COVERAGE_FILE=$report/data

tests/instrumented.sh coverage python -m coverage run -m pytest -q "$@"
library=$(python -c 'from makemore.runtime.onnxruntime_library import find_library; print(find_library())' | tail -1)
cmake -S . -B "$build" -DMAKEMORE_TESTS=ON -DMAKEMORE_ORT_LIBRARY="$library"
cmake --build "$build" -j2
ctest --test-dir "$build" --output-on-failure

python -m coverage combine --quiet
python -m coverage report --show-missing --sort=miss > "$report/report.txt" || true
python -m coverage json --quiet -o "$report/python.json"
python -m gcovr --root . --filter csrc/ --merge-mode-functions separate --sort uncovered-number \
  --txt "$report/report-cpp.txt" --json-summary "$report/cpp.json" "$build"
cat "$report/report-cpp.txt" >> "$report/report.txt"
python - "$report" <<'PYTHON'
import json
import sys
from pathlib import Path

report = Path(sys.argv[1])
python = json.loads((report / "python.json").read_text())["totals"]
cpp = json.loads((report / "cpp.json").read_text())
parts = {
    "python/ and export/": (python["covered_lines"], python["num_statements"]),
    "csrc/": (cpp["line_covered"], cpp["line_total"]),
}
parts["together"] = tuple(map(sum, zip(*parts.values())))
for name, (covered, lines) in parts.items():
    print(f"{name}: {covered:,} of {lines:,} lines, {100 * covered / lines:.1f}%")
covered, lines = parts["together"]
sys.exit(covered < 0.95 * lines)
PYTHON
