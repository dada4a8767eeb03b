#!/usr/bin/env bash
# How fast this commit is beside the last one that was recorded: prints ratios and decides nothing.
# The models are as large as those that users train, but hardly trained, so compare tokens a second.
#
#   benchmarks/beside_record.sh           prints the ratios, in under a minute
#   benchmarks/beside_record.sh record    keeps new figures in results/, named by machine and commit
set -euo pipefail
cd "$(dirname "$0")/.."
results=benchmarks/results
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bench() { mm-bench "$work/$1" --batch-size 256 --threads 1 --seconds 4 --repeats 3 "${@:2}"; }

head -n 1000 export/makemore_export/data/us-names-2018.txt >"$work/names.txt"
for model in transformer lstm; do
  mm-export "$work/names.txt" --model "$model" --max-steps 5 --no-torchscript --samples 0 -o "$work/$model" >/dev/null 2>&1
  record=$(find "$results" -name "bench-$model-*.json")
  if [ "${1:-}" = record ]; then
    bench "$model" --json >"$work/record.json"
    machine=$(uname -m)-$(nproc)
    commit=$(git rev-parse --short HEAD)
    if [ -n "$record" ]; then rm "$record"; fi
    mv "$work/record.json" "$results/bench-$model-$machine-$commit.json"
  elif [ -n "$record" ]; then
    bench "$model" --compare "$record" 2>/dev/null | sed -n '/differs:/p; /^Times as fast/,$p'
  else
    echo "no record of $model in $results"
  fi
done
