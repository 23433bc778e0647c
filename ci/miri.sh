#!/usr/bin/env bash
# Proves that Miri finds nothing in the library's unsafe code: no use after free, no access beyond
# what a pointer may reach, no data race, no leak, under Stacked and under Tree Borrows, with
# threads interrupted at random. Strips of tasks and chunks of jobs are as in the field.
#
#   ci/miri.sh --quick        the programs of tests/miri.rs once under each model, both at the same time: 300 s of processor time, on two cores
#   ci/miri.sh                the programs with several seeds and rates of interruption, and the library's own tests that need no system
#   ci/miri.sh [--quick] NAME only what has NAME in its name
#
# COREPOOL_SEEDS=FROM..TO chooses the seeds. Needs a nightly toolchain of rustup's with Miri, and
# adds Miri to it if that is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
  echo "SKIPPED ci/miri.sh: $*; nothing was checked"
  exit 0
}

command -v rustup >/dev/null || skip "no rustup on this machine"
rustup toolchain list | grep -q '^nightly' || skip "no nightly toolchain on this machine"
if ! cargo +nightly miri --version >/dev/null 2>&1; then
  rustup component add miri rust-src --toolchain nightly || skip "this nightly toolchain can get no Miri"
fi

is_quick=false
if [[ ${1:-} == --quick ]]; then
  is_quick=true
  shift
fi

mkdir -p "${CARGO_TARGET_DIR:-target}/miri"
CARGO_TARGET_DIR=$(cd "${CARGO_TARGET_DIR:-target}/miri" && pwd)
export CARGO_TARGET_DIR
ci/parts/light_package.sh "$CARGO_TARGET_DIR/package"
cd "$CARGO_TARGET_DIR/package"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# What these tests are about Miri has not: cores, the file system, other processes; or they are a
# million steps long.
left_out=(--skip affinity:: --skip batch::tests::stress --skip at_the_moment_of_the_timeout --skip a_wait_takes_the_time)

# A run that takes longer has no end. `run MODEL RATE SEEDS SECONDS WHAT [ARGUMENT]...`
run() {
  local model=$1 rate=$2 seeds=$3 limit=$4 log=$logs/$1 start=$SECONDS status=0
  shift 4
  local flags="-Zmiri-strict-provenance -Zmiri-symbolic-alignment-check -Zmiri-preemption-rate=$rate -Zmiri-many-seeds=$seeds"
  if [[ $model == tree ]]; then flags+=" -Zmiri-tree-borrows"; fi
  MIRIFLAGS=$flags timeout --kill-after=10 "$limit" cargo +nightly miri test "$@" >"$log" 2>&1 || status=$?
  if ((status != 0)); then
    cat "$log"
    if ((status >= 124)); then echo "no end in $limit s"; fi
    echo "FAILED  $model borrows, rate $rate, seeds $seeds: $*"
    return 1
  fi
  # A filter that fits nothing passes too.
  grep -q '^test result: ok\. [1-9]' "$log" || { echo "no program ran: $*" && return 1; }
  local passed
  passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$log" | sort -u)
  echo "$((SECONDS - start)) s  $model borrows, rate $rate, seeds $seeds: $passed passed"
}

# Built once, so that two runs at a time do not wait for one another; the flags concern no build.
cargo +nightly miri test --quiet --test miri --no-run

if $is_quick; then
  seeds=${COREPOOL_SEEDS:-0..1}
  run stacked 0.05 "$seeds" 1200 --test miri -- "$@" &
  stacked=$!
  failed=false
  run tree 0.05 "$seeds" 1200 --test miri -- "$@" || failed=true
  wait "$stacked" || failed=true
  ! $failed
  exit
fi

seeds=${COREPOOL_SEEDS:-0..2}
for rate in 0.01 0.1; do
  for model in stacked tree; do
    run "$model" "$rate" "$seeds" 1800 --test miri -- "$@"
  done
done
for model in stacked tree; do
  run "$model" 0.05 0..1 3600 --lib -- "${left_out[@]}" "$@"
done
