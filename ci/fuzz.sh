#!/usr/bin/env bash
# Proves that what parses or takes sizes bears any bytes: libFuzzer with AddressSanitizer, from the
# inputs in fuzz/corpus.
#
#   ci/fuzz.sh [TARGET]...      only these: gunzip, deflate, sizes, program
#
# SECONDS_EACH is how long for each target, 10 by default. New inputs of value are kept below
# target/fuzz; an input that fails is kept there too, and its path is printed.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
# Where cargo puts it, from wherever the folder was chosen.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/fuzz"
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
# Sizes without memory for them are to be refused, not to end the process.
export ASAN_OPTIONS="allocator_may_return_null=1:detect_leaks=0"

(($# > 0)) || set -- gunzip deflate sizes program
# From inside of the folder: it is a workspace of its own.
case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR="$PWD/$CARGO_TARGET_DIR" ;; esac
(cd fuzz && cargo build --quiet --release --target "$host" "${@/#/--bin=}")

for target in "$@"; do
  echo "-- $target"
  found="$CARGO_TARGET_DIR/found/$target"
  mkdir -p "$found"
  "$CARGO_TARGET_DIR/$host/release/$target" -max_total_time="${SECONDS_EACH:-10}" -timeout=120 -rss_limit_mb=4096 \
    -malloc_limit_mb=0 -max_len=4096 -print_final_stats=1 -verbosity=0 -artifact_prefix="$found-" "$found" "fuzz/corpus/$target"
done
