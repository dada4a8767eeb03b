#!/usr/bin/env bash
# tests/fuzz/libfuzzer.sh [SECONDS]: builds the libFuzzer programs with clang and the sanitizers, and
# runs each for a while (60 s), from the artifacts of the tests. An input that crashes is left in
# build/fuzzers/.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/fuzzers
cmake -S . -B $build -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DMAKEMORE_PYTHON=OFF \
  -DMAKEMORE_FUZZERS=ON -DMAKEMORE_SANITIZE=address,undefined
cmake --build $build -j2
for fuzzer in file_check family transformer; do
  mkdir -p "$build/corpus-$fuzzer" "$build/seeds"
  number=0
  for artifact in $(find tests/artifacts -name model.onnx | sort); do
    cp "$artifact" "$build/seeds/$((number += 1)).onnx"
  done
  "$build/tests/fuzz/${fuzzer}_fuzzer" "-max_total_time=${1:-60}" -max_len=200000 -timeout=5 \
    -rss_limit_mb=1024 "-artifact_prefix=$build/crash-$fuzzer-" -print_final_stats=1 -verbosity=0 \
    "$build/corpus-$fuzzer" "$build/seeds"
done
